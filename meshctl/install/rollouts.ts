/** Waits until a Deployment or DaemonSet runs what it says, and says how far it is. */

import { getObject } from "#common/kube-client/apply.ts";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { listAll } from "#common/kube-client/list-collection.ts";
import { collectionPath } from "#common/kube-client/resources.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";
import { until } from "#meshctl/until.ts";
import { referenceOf } from "./apply-manifests.ts";
import { INSTALL_POLL_MS, ROLLOUT_QUIET_MS } from "./limits.ts";
import { type Manifest, nameOf } from "./manifest.ts";

export interface RolloutState {
  readonly done: boolean;
  /** "1 of 2 ready". */
  readonly progress: string;
}

/** Of a Deployment or a DaemonSet as the API server has it. Pure. */
export function rolloutState(object: JsonObject): RolloutState {
  const { metadata, spec, status } = object;
  const is = isJsonObject(status) ? status : {};
  const count = (key: string) => Number(is[key] ?? 0);
  const generation = isJsonObject(metadata) ? Number(metadata.generation ?? 0) : 0;
  if (count("observedGeneration") < generation) return { done: false, progress: "not begun" };
  const daemon = object.kind === "DaemonSet";
  const replicas = isJsonObject(spec) ? Number(spec.replicas ?? 1) : 1;
  const wanted = daemon ? count("desiredNumberScheduled") : replicas;
  const updated = count(daemon ? "updatedNumberScheduled" : "updatedReplicas");
  const available = count(daemon ? "numberAvailable" : "availableReplicas");
  const old = daemon ? 0 : count("replicas") - updated;
  const what = daemon ? `of ${wanted} nodes` : `of ${wanted}`;
  if (updated < wanted) return { done: false, progress: `${updated} ${what} updated` };
  if (available < wanted) return { done: false, progress: `${available} ${what} ready` };
  if (old > 0) return { done: false, progress: `${old} of before still running` };
  return { done: true, progress: `${available} ${what} ready` };
}

/** Throws a MeshError that says what keeps its pods when it takes longer than `timeoutMs`. */
export async function untilRolledOut(
  client: KubeClient,
  manifest: Manifest,
  timeoutMs: number,
  say: (line: string) => void,
): Promise<void> {
  let said = "";
  let quietSince = performance.now();
  const reasons = new Set<string>();
  let object: unknown;
  const look = async (): Promise<string | undefined> => {
    object = await getObject(client, referenceOf(manifest));
    const { done, progress } = isJsonObject(object)
      ? rolloutState({ ...object, kind: manifest.kind })
      : { done: false, progress: "it is not there" };
    if (progress !== said) {
      say(`${nameOf(manifest)}: ${progress}`);
      quietSince = performance.now();
    } else if (!done && performance.now() - quietSince > ROLLOUT_QUIET_MS) {
      for (const reason of await whatKeepsPods(client, manifest, object)) {
        if (!reasons.has(reason)) say(`  ${reason}`);
        reasons.add(reason);
      }
      quietSince = performance.now();
    }
    said = progress;
    return done ? undefined : progress;
  };
  await until({ timeoutMs, pollMs: INSTALL_POLL_MS }, look, async (progress) => {
    const why = (await whatKeepsPods(client, manifest, object)).map((each) => `\n  ${each}`);
    const { namespace = "", name } = manifest.metadata;
    return new MeshError("NOT_ROLLED_OUT", `${nameOf(manifest)}: ${progress}${why.join("")}`, {
      hint: `kubectl describe ${manifest.kind.toLowerCase()} ${name} -n ${namespace}`,
    });
  });
}

async function whatKeepsPods(client: KubeClient, { metadata }: Manifest, object: unknown) {
  const spec = isJsonObject(object) && isJsonObject(object.spec) ? object.spec : {};
  const labels = isJsonObject(spec.selector) ? spec.selector.matchLabels : undefined;
  if (!isJsonObject(labels)) return [];
  const labelSelector = Object.entries(labels)
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(",");
  const path = collectionPath("Pod", metadata.namespace);
  const pods = await listAll(client, { path, labelSelector });
  return pods.flatMap(reasonOf);
}

/** Why a pod is not ready, as its status says it; nothing for a ready one. Pure. */
export function reasonOf(pod: JsonObject): readonly string[] {
  const status = isJsonObject(pod.status) ? pod.status : {};
  const name = isJsonObject(pod.metadata) ? String(pod.metadata.name) : "";
  const all = [status.initContainerStatuses, status.containerStatuses].flatMap((list) =>
    Array.isArray(list) ? list.filter(isJsonObject) : [],
  );
  const told = all.flatMap((container) => {
    const state = isJsonObject(container.state) ? container.state : {};
    const held = isJsonObject(state.waiting) ? state.waiting : state.terminated;
    if (!isJsonObject(held) || held.reason === "Completed" || container.ready === true) return [];
    const message = held.message === undefined ? "" : `: ${String(held.message).slice(0, 200)}`;
    return [`pod ${name}, ${String(container.name)}: ${String(held.reason)}${message}`];
  });
  if (told.length > 0) return told;
  const conditions = Array.isArray(status.conditions) ? status.conditions.filter(isJsonObject) : [];
  const bad = conditions.find(
    ({ type, status: is }) => is === "False" && (type === "PodScheduled" || type === "Ready"),
  );
  if (bad === undefined) return [];
  return [`pod ${name}: ${String(bad.message ?? bad.reason ?? "not ready")}`];
}
