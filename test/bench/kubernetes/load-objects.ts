/** Puts a generated mesh into an API server, as its own clients would have made it. */
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { collectionPath, objectPath } from "#common/kube-client/resources.ts";
import type { KubernetesObject, Pod } from "#common/kubernetes/objects.ts";
import type { MeshSize } from "../control-plane/mesh-objects.ts";
import { meshObjects, nodeName } from "../control-plane/mesh-objects.ts";

/** Requests at once: about what one API server takes without waiting. */
const PARALLEL = 16;

const ADDRESSES = { type: "InternalIP", address: "192.168.0.1" };

/** In the order in which they can be made: later ones name earlier ones. */
export async function loadObjects(client: KubeClient, size: MeshSize): Promise<void> {
  const objects = meshObjects(size);
  const ofKind = (...kinds: readonly string[]) =>
    objects.filter(({ kind }) => kinds.includes(kind));
  const nodes = [...Array(size.nodes).keys()].map(nodeName).concat("measured").map(node);
  await all(client, [...nodes, ...ofKind("Namespace")]);
  await all(client, accounts(ofKind("Pod")));
  await all(client, [...ofKind("Service"), ...ofKind("AuthorizationPolicy"), ...ofKind("Pod")]);
}

export const STATUS_PATCH = "application/merge-patch+json";

async function all(client: KubeClient, objects: readonly KubernetesObject[]): Promise<void> {
  const waiting = objects.values();
  const worker = async (): Promise<void> => {
    for (const object of waiting) await create(client, object);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}

async function create(client: KubeClient, given: KubernetesObject): Promise<void> {
  const object = given.kind === "Service" ? withoutAddress(given) : given;
  const { kind, metadata, apiVersion } = object;
  const path = collectionPath(kind, metadata.namespace, apiVersion);
  await client.request({ method: "POST", path, body: object }).catch(unlessThere);
  if (object.kind !== "Pod" || object.status === undefined) return;
  const { status } = object;
  const [first] = status.podIPs ?? [];
  await client.request({
    method: "PATCH",
    path: `${objectPath({ kind, ...metadata })}/status`,
    contentType: STATUS_PATCH,
    body: { status: { ...status, podIP: first?.ip } },
  });
}

/** The API server chooses from its own range. */
function withoutAddress(object: Extract<KubernetesObject, { kind: "Service" }>): KubernetesObject {
  const { clusterIP: _, ...spec } = object.spec;
  return { ...object, spec };
}

function unlessThere(error: { readonly status?: number }): void {
  if (error.status !== 409) throw error;
}

/** A pod's account must exist before it. */
function accounts(pods: readonly KubernetesObject[]): readonly KubernetesObject[] {
  const made = new Map<string, KubernetesObject>();
  for (const { metadata, spec } of pods as readonly Pod[]) {
    const { namespace = "default" } = metadata;
    const name = spec.serviceAccountName ?? "default";
    const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace } };
    made.set(`${namespace}/${name}`, account as KubernetesObject);
  }
  return [...made.values()];
}

function node(name: string): KubernetesObject {
  return { apiVersion: "v1", kind: "Node", metadata: { name }, status: { addresses: [ADDRESSES] } };
}
