/** From what a person types to a pod: its name, or `deploy/NAME` and `ds/NAME` for any of it. */
import type { KubernetesObject, Pod } from "#common/kubernetes/objects.ts";
import { isReady } from "#common/kubernetes/pod-readiness.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { MeshCluster } from "./mesh-cluster.ts";

/** Throws a MeshError that names the pods there are. */
export async function resolvePod(
  cluster: MeshCluster,
  reference: string,
  namespace: string = cluster.defaultNamespace,
): Promise<Pod> {
  const here = (await cluster.objects("Pod", namespace)).filter(isPod);
  const pod = choose(reference, here);
  if (pod !== undefined) return pod;
  const all = (await cluster.objects("Pod")).filter(isPod);
  const elsewhere = all.find((candidate) => choose(reference, [candidate]) !== undefined);
  const names = here.map((candidate) => candidate.metadata.name).join(", ");
  throw new MeshError("NO_SUCH_POD", `there is no pod ${reference} in namespace ${namespace}`, {
    hint:
      elsewhere === undefined
        ? names === ""
          ? "meshctl get pods -A"
          : `the pods there are ${names}`
        : `add -n ${elsewhere.metadata.namespace}`,
  });
}

function isPod(object: KubernetesObject): object is Pod {
  return object.kind === "Pod";
}

/** A ready pod is preferred among those of a Deployment or DaemonSet. */
function choose(reference: string, pods: readonly Pod[]): Pod | undefined {
  const [kind = "", name] = reference.split("/");
  if (name === undefined) return pods.find((pod) => pod.metadata.name === reference);
  if (/^(pod|pods|po)$/.test(kind)) return pods.find((pod) => pod.metadata.name === name);
  const owner = OWNERS[kind];
  if (owner === undefined) return undefined;
  const owned = pods.filter((pod) => ownedBy(pod, owner, name));
  return owned.find(isReady) ?? owned[0];
}

const OWNERS: Readonly<Record<string, string>> = {
  deploy: "ReplicaSet",
  deployment: "ReplicaSet",
  deployments: "ReplicaSet",
  ds: "DaemonSet",
  daemonset: "DaemonSet",
  daemonsets: "DaemonSet",
};

function ownedBy(pod: Pod, kind: string, name: string): boolean {
  const [owner] = pod.metadata.ownerReferences ?? [];
  if (owner?.kind !== kind) return false;
  // A ReplicaSet is called after its Deployment, with a hash behind.
  return (kind === "ReplicaSet" ? owner.name.replace(/-[^-]+$/, "") : owner.name) === name;
}
