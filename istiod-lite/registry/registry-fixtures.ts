/**
 * Objects for the tests of the registry and of the xDS server, with only what a test cares about.
 */
import assert from "node:assert/strict";
import {
  type KubernetesObject,
  type KubeService,
  type Namespace,
  type Node,
  type ObjectChange,
  objectKey,
  type Pod,
  type ServiceEntry,
  type WorkloadEntry,
} from "#common/kubernetes/objects.ts";
import type { CapturedPod } from "#common/model/captured-pod.ts";
import type { Service } from "#common/model/service.ts";
import type { Workload } from "#common/model/workload.ts";
import { decodeCapturedPod } from "#common/xds/decode-captured-pod.ts";
import { decodeAddress } from "#common/xds/decode-workload.ts";
import { ADDRESS_TYPE, CAPTURED_POD_TYPE } from "#common/xds/type-urls.ts";
import { Registry } from "./registry.ts";
import { DEFAULT_REGISTRY_OPTIONS } from "./registry-options.ts";
import type { ResourceView } from "./resource-table.ts";

export interface PodShape {
  readonly name?: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ips?: readonly string[];
  readonly node?: string;
  readonly ready?: boolean;
  readonly spec?: Partial<Pod["spec"]>;
  readonly status?: Pod["status"];
  readonly metadata?: Partial<Pod["metadata"]>;
}

/** A running, ready pod shop/web-1 with one address on node-1, unless said otherwise. */
export function makePod(shape: PodShape = {}): Pod {
  const { name = "web-1", namespace = "shop", ips = ["10.0.1.1"], ready = true } = shape;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace,
      uid: `uid-of-${namespace}-${name}`,
      ...(shape.labels && { labels: shape.labels }),
      ...(shape.annotations && { annotations: shape.annotations }),
      ...shape.metadata,
    },
    spec: {
      nodeName: shape.node ?? "node-1",
      serviceAccountName: "web",
      containers: [{ name: "app", image: "app" }],
      ...shape.spec,
    },
    status: {
      phase: "Running",
      podIPs: ips.map((ip) => ({ ip })),
      conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
      ...shape.status,
    },
  };
}

export function makeService(
  name: string,
  spec: KubeService["spec"],
  metadata: Partial<KubeService["metadata"]> = {},
): KubeService {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "shop", ...metadata },
    spec,
  };
}

/** A ServiceEntry in namespace shop, unless said otherwise. */
export function makeServiceEntry(
  name: string,
  spec: Partial<ServiceEntry["spec"]>,
  metadata: Partial<ServiceEntry["metadata"]> = {},
): ServiceEntry {
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "ServiceEntry",
    metadata: { name, namespace: "shop", ...metadata },
    spec: {
      hosts: [`${name}.example.com`],
      ports: [{ number: 80, name: "http", protocol: "HTTP" }],
      resolution: "STATIC",
      ...spec,
    },
  };
}

/** A WorkloadEntry in namespace shop, unless said otherwise. */
export function makeWorkloadEntry(
  name: string,
  spec: WorkloadEntry["spec"],
  metadata: Partial<WorkloadEntry["metadata"]> = {},
): WorkloadEntry {
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "WorkloadEntry",
    metadata: { name, namespace: "shop", ...metadata },
    spec,
  };
}

export function makeNamespace(name: string, labels: Record<string, string> = {}): Namespace {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } };
}

export function makeNode(name: string, labels: Record<string, string> = {}): Node {
  return { apiVersion: "v1", kind: "Node", metadata: { name, labels } };
}

export function present(...objects: readonly KubernetesObject[]): readonly ObjectChange[] {
  return objects.map((object) => ({ key: objectKey(object), kind: object.kind, object }));
}

export function absent(...objects: readonly KubernetesObject[]): readonly ObjectChange[] {
  return objects.map((object) => ({ key: objectKey(object), kind: object.kind }));
}

export function workloadsOf(view: ResourceView): readonly Workload[] {
  return [...view.all(ADDRESS_TYPE)].flatMap(({ value }) => {
    const address = decodeAddress(value);
    return address.kind === "workload" ? [address.workload] : [];
  });
}

export function servicesOf(view: ResourceView): readonly Service[] {
  return [...view.all(ADDRESS_TYPE)].flatMap(({ value }) => {
    const address = decodeAddress(value);
    return address.kind === "service" ? [address.service] : [];
  });
}

export function capturedOn(view: ResourceView, node: string): readonly CapturedPod[] {
  const pods = [...view.all(CAPTURED_POD_TYPE)].filter(({ scope }) => scope === node);
  return pods.map(({ value }) => decodeCapturedPod(value));
}

/** A registry that has taken the objects in without a problem. */
export function registryWith(...objects: readonly KubernetesObject[]): Registry {
  const registry = new Registry(DEFAULT_REGISTRY_OPTIONS);
  assert.deepEqual(registry.apply(present(...objects)).problems, []);
  return registry;
}

export function onlyWorkload(...objects: readonly KubernetesObject[]): Workload {
  const workloads = workloadsOf(registryWith(...objects).resources);
  assert.equal(workloads.length, 1);
  return workloads[0] as Workload;
}
