/** From what a person types to a pod: its name, `pod/NAME`, or `deploy/NAME` for any pod of it. */
import type { Pod } from "#common/kubernetes/objects.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { ContainerAccess, PodAccess } from "#meshctl/local/control-api.ts";
import type { ControlClient } from "#meshctl/local/control-client.ts";
import { isReady } from "#meshctl/local/endpoints.ts";

export const DEFAULT_NAMESPACE = "default";

/** Throws a MeshError that names the pods there are. */
export async function resolvePod(
  client: ControlClient,
  reference: string,
  namespace: string,
): Promise<PodAccess> {
  const pods = (await client.objects("Pod")).items.filter((object) => object.kind === "Pod");
  const here = pods.filter((pod) => pod.metadata.namespace === namespace);
  const pod = choose(reference, here);
  if (pod !== undefined) return client.pod(namespace, pod.metadata.name);
  const elsewhere = pods.find((candidate) => choose(reference, [candidate]) !== undefined);
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

/** A ready pod is preferred among those of a Deployment. */
function choose(reference: string, pods: readonly Pod[]): Pod | undefined {
  const [kind = "", name] = reference.split("/");
  if (name === undefined) return pods.find((pod) => pod.metadata.name === reference);
  if (/^(pod|pods|po)$/.test(kind)) return pods.find((pod) => pod.metadata.name === name);
  if (!/^(deploy|deployment|deployments)$/.test(kind)) return undefined;
  const owned = pods.filter((pod) => ownedBy(pod, name));
  return owned.find(isReady) ?? owned[0];
}

function ownedBy(pod: Pod, deployment: string): boolean {
  const [owner] = pod.metadata.ownerReferences ?? [];
  return owner?.kind === "ReplicaSet" && owner.name.replace(/-[^-]+$/, "") === deployment;
}

/** The named container, or the first. */
export function resolveContainer(pod: PodAccess, name: string | undefined): ContainerAccess {
  const container =
    name === undefined ? pod.containers[0] : pod.containers.find((c) => c.name === name);
  if (container !== undefined) return container;
  const names = pod.containers.map((candidate) => candidate.name).join(", ");
  throw new MeshError("NO_SUCH_CONTAINER", `pod ${pod.name} has no container ${name ?? ""}`, {
    hint: `its containers are ${names}`,
  });
}
