/**
 * Kubernetes objects as tests need them: namespaces in or out of the mesh, pods that do nothing.
 */

import type { ServiceEntry, WorkloadEntry } from "#common/kubernetes/objects.ts";

/** The label that enrols. */
export const MESH_LABEL = "istio.io/dataplane-mode";

/** What every identity of the mesh begins with. */
export const SPIFFE = "spiffe://cluster.local";

export function namespace(name: string, mesh: "ambient" | "none" | undefined): object {
  const labels = mesh === undefined ? {} : { labels: { [MESH_LABEL]: mesh } };
  return { apiVersion: "v1", kind: "Namespace", metadata: { name, ...labels } };
}

export interface PodOptions {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  /** The label `app`; the pod's name unless given. */
  readonly app?: string;
  /** Made along with the pod; the app's name unless given. */
  readonly serviceAccount?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** An IPv4 address of the node's block; any unless given. */
  readonly address?: string;
}

/** A pod that runs nothing, for servers and clients of the test's own, and its service account. */
export function pod(options: PodOptions): readonly object[] {
  const { namespace, name, node, app = name, serviceAccount = app, labels = {} } = options;
  const { address } = options;
  const annotations = { "cni.projectcalico.org/ipAddrs": `["${address}"]` };
  return [
    {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: serviceAccount, namespace },
    },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name,
        namespace,
        labels: { app, ...labels },
        ...(address !== undefined && { annotations }),
      },
      spec: {
        nodeName: node,
        serviceAccountName: serviceAccount,
        terminationGracePeriodSeconds: 0,
        containers: [{ name: "app", image: "registry.k8s.io/pause:3.10" }],
      },
    },
  ];
}

export interface ServiceOptions {
  readonly namespace: string;
  readonly name: string;
  /** The pods with this label `app`; the service's name unless given. */
  readonly app?: string;
  readonly headless?: boolean;
  /** 80 unless given. */
  readonly port?: number;
  /** 8080 unless given. */
  readonly targetPort?: number;
}

/** A dual-stack service of one TCP port. */
export function service(options: ServiceOptions): object {
  const { namespace, name, app = name, port = 80, targetPort = 8080 } = options;
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace },
    spec: {
      ipFamilyPolicy: "PreferDualStack",
      selector: { app },
      ports: [{ name: "tcp", port, targetPort }],
      ...(options.headless === true ? { clusterIP: "None" } : {}),
    },
  };
}

export function serviceEntry(namespace: string, name: string, spec: ServiceEntry["spec"]): object {
  const apiVersion = "networking.istio.io/v1";
  return { apiVersion, kind: "ServiceEntry", metadata: { name, namespace }, spec };
}

export function workloadEntry(
  namespace: string,
  name: string,
  spec: WorkloadEntry["spec"],
): object {
  const apiVersion = "networking.istio.io/v1";
  return { apiVersion, kind: "WorkloadEntry", metadata: { name, namespace }, spec };
}
