/** When a cluster counts as started, and what is said then. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Pod } from "#common/kubernetes/objects.ts";
import { isReady } from "#common/kubernetes/pod-readiness.ts";
import type { MeshPrograms } from "#meshctl/local/mesh/mesh-programs.ts";
import { ISTIO_NAMESPACE } from "#meshctl/local/objects/built-ins.ts";
import type { Cluster } from "./cluster.ts";
import { START_PATIENCE_MS, START_POLL_MS, START_PROGRESS_MS } from "./limits.ts";

/**
 * Resolves when the mesh is up and every pod is ready, over, or so broken that waiting does not
 * help; or when patience ends. Says what it waits for.
 */
export async function untilStarted(
  cluster: Cluster,
  mesh: MeshPrograms | undefined,
  say: (text: string) => void,
): Promise<void> {
  const begunAt = Date.now();
  let saidAt = begunAt;
  for (;;) {
    await cluster.settled();
    const waiting = [...(mesh?.unready ?? []), ...pendingPods(cluster).map(podName)];
    if (waiting.length === 0 || Date.now() - begunAt > START_PATIENCE_MS) return;
    if (Date.now() - saidAt > START_PROGRESS_MS) {
      saidAt = Date.now();
      say(`waiting for ${waiting.join(", ")}`);
    }
    await sleep(START_POLL_MS);
  }
}

/** `12 of 13 pods ready on 2 nodes; not ready: shop/web-… (ErrImagePull: …)`. */
export function summarizePods(cluster: Cluster, mesh: MeshPrograms | undefined): string {
  const pods = cluster.pods.pods(new Date());
  const fine = pods.filter((pod) => isReady(pod) || pod.status?.phase === "Succeeded");
  const rest = pods.filter((pod) => !fine.includes(pod));
  const reasons = rest.map((pod) => `${podName(pod)} (${reasonOf(pod)})`);
  const unready = (mesh?.unready ?? []).map(
    (name) => `${name} (meshctl logs ${name} -n ${ISTIO_NAMESPACE} says why)`,
  );
  const missing = [...unready, ...reasons].join(", ");
  const head = `${fine.length} of ${pods.length} pods ready on ${cluster.nodes.length} nodes`;
  return missing === "" ? head : `${head}; not ready: ${missing}`;
}

function pendingPods(cluster: Cluster): readonly Pod[] {
  return cluster.pods.pods(new Date()).filter((pod) => {
    const { phase, reason } = pod.status ?? {};
    if (isReady(pod) || phase === "Succeeded" || phase === "Failed") return false;
    if (reason === "Unschedulable" || reason === "FailedCreatePodSandBox") return false;
    return !/ErrImagePull|CrashLoopBackOff|does not exist/.test(reasonOf(pod));
  });
}

function reasonOf(pod: Pod): string {
  const ready = pod.status?.conditions?.find((condition) => condition.type === "Ready");
  return ready?.message ?? "";
}

function podName(pod: Pod): string {
  return `${pod.metadata.namespace}/${pod.metadata.name}`;
}
