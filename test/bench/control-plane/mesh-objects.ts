/** A generated mesh: as many pods, services and policies as asked for, the same ones each time. */
import type {
  AuthorizationPolicy,
  KubernetesObject,
  KubeService,
  Namespace,
  Pod,
} from "#common/kubernetes/objects.ts";

export interface MeshSize {
  readonly pods: number;
  readonly services: number;
  readonly policies: number;
  /** Each with a ztunnel, and its share of the pods. */
  readonly nodes: number;
}

/** The node of the ztunnel that is measured: it has no pods of its own to capture. */
export const MEASURED_NODE = "measured";

const SERVICES_PER_NAMESPACE = 20;

export function meshObjects(size: MeshSize): readonly KubernetesObject[] {
  const namespaces = Math.max(1, Math.ceil(size.services / SERVICES_PER_NAMESPACE));
  return [
    makeNamespace("istio-system", {}),
    ...numbers(namespaces).map((i) => makeNamespace(namespaceOf(i), AMBIENT)),
    ...numbers(size.services).map(makeService),
    ...numbers(size.policies).map((i) => makePolicy(i, size)),
    ...numbers(size.pods).map((i) => makePod(i, size)),
    ...numbers(size.nodes).map((i) => ztunnelPod(nodeName(i))),
    ztunnelPod(MEASURED_NODE),
  ];
}

export const nodeName = (index: number): string => `node-${index}`;
export const ztunnelName = (node: string): string => `ztunnel-${node}`;
export const uidOf = (pod: string): string => `uid-of-${pod}`;

/** A pod; `revision` changes what proxies are told of it, `note` only what they are not. */
export function makePod(
  index: number,
  size: Pick<MeshSize, "nodes" | "services">,
  { revision = "v1", note = "" } = {},
): Pod {
  const service = index % Math.max(1, size.services);
  const name = `pod-${index}`;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: namespaceOf(Math.floor(service / SERVICES_PER_NAMESPACE)),
      uid: uidOf(name),
      labels: { app: `app-${service}`, version: revision },
      annotations: { "ambient.istio.io/redirection": "enabled", "example.com/note": note },
    },
    spec: {
      nodeName: nodeName(index % size.nodes),
      serviceAccountName: `sa-${service}`,
      containers: [{ name: "app", image: "app" }],
    },
    status: {
      phase: "Running",
      podIPs: [{ ip: addressOf(index) }],
      conditions: [{ type: "Ready", status: "True" }],
    },
  };
}

const AMBIENT = { "istio.io/dataplane-mode": "ambient" };

const namespaceOf = (index: number): string => `ns-${index}`;

/** 10.0.0.1 on, one for each pod. */
function addressOf(index: number): string {
  const host = index + 1;
  return `10.${(host >> 16) & 255}.${(host >> 8) & 255}.${host & 255}`;
}

function makeNamespace(name: string, labels: Readonly<Record<string, string>>): Namespace {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } };
}

function makeService(index: number): KubeService {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: `svc-${index}`,
      namespace: namespaceOf(Math.floor(index / SERVICES_PER_NAMESPACE)),
    },
    spec: {
      clusterIP: `172.16.${index >> 8}.${index & 255}`,
      selector: { app: `app-${index}` },
      ports: [{ name: "http", port: 80, targetPort: 8080 }],
    },
  };
}

/** Each lets another service's account in, on one port. */
function makePolicy(index: number, { services }: MeshSize): AuthorizationPolicy {
  const service = index % Math.max(1, services);
  const other = (service * 7 + 1) % Math.max(1, services);
  const namespace = Math.floor(other / SERVICES_PER_NAMESPACE);
  const principal = `cluster.local/ns/${namespaceOf(namespace)}/sa/sa-${other}`;
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: {
      name: `policy-${index}`,
      namespace: namespaceOf(Math.floor(service / SERVICES_PER_NAMESPACE)),
      generation: 1,
    },
    spec: {
      selector: { matchLabels: { app: `app-${service}` } },
      action: "ALLOW",
      rules: [
        {
          from: [{ source: { principals: [principal] } }],
          to: [{ operation: { ports: ["8080"] } }],
        },
      ],
    },
  };
}

function ztunnelPod(node: string): Pod {
  const name = ztunnelName(node);
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "istio-system", uid: uidOf(name), labels: { app: "ztunnel" } },
    spec: {
      nodeName: node,
      hostNetwork: true,
      serviceAccountName: "ztunnel",
      containers: [{ name: "istio-proxy", image: "ztunnel" }],
    },
    status: { phase: "Running", podIPs: [{ ip: "192.168.0.1" }] },
  };
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
