/** Brings a cluster to what the manifests say: applies, waits, and takes away what is left over. */
import { deleteObject } from "#common/kube-client/apply.ts";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import {
  applyPlanned,
  type Change,
  FIELD_MANAGER,
  type Planned,
  planManifests,
  referenceOf,
} from "./apply-manifests.ts";
import { uninstallOrder } from "./install-order.ts";
import { isProgram, keyOf, type Manifest, nameOf } from "./manifest.ts";
import { diffObjects } from "./object-diff.ts";
import { findInstalled, isAppliedBy } from "./ownership.ts";
import { untilRolledOut } from "./rollouts.ts";
import { splitByServed } from "./served-kinds.ts";
import { untilAnswered } from "./webhooks.ts";

export interface InstallOptions {
  readonly dryRun: boolean;
  readonly forceConflicts: boolean;
  readonly wait: boolean;
  readonly timeoutMs: number;
}

export type Say = (line: string) => void;

/** Throws a MeshError where the cluster refuses (then nothing was changed), and where it fails. */
export async function install(
  client: KubeClient,
  manifests: readonly Manifest[],
  options: InstallOptions,
  say: Say,
): Promise<void> {
  const { served, leftOut } = await splitByServed(client, manifests);
  const planned = await planManifests(client, served, options);
  for (const object of leftOut) {
    say(`${nameOf(object)} left out: the cluster has no ${object.apiVersion}`);
  }
  const left = await findLeftOver(client, manifests);
  if (options.dryRun) {
    showPlan(planned, left, say);
    return;
  }
  const counts = new Map<Change | "pruned", number>();
  const count = (change: Change | "pruned") => counts.set(change, (counts.get(change) ?? 0) + 1);
  const running: Planned[] = [];
  for (const [index, one] of planned.entries()) {
    const change = await applyPlanned(client, one, options);
    count(change);
    say(`${nameOf(one.manifest)} ${wordOf(change)}`);
    if (isProgram(one.manifest)) running.push(one);
    if (options.wait) await untilAnswered(client, one.manifest, say);
    // What comes next may need what runs: a DaemonSet its control plane, a webhook who answers.
    const next = planned[index + 1];
    const isLast = next === undefined || next.manifest.kind !== one.manifest.kind;
    if (!options.wait || !isLast) continue;
    for (const { manifest } of running.splice(0)) {
      await untilRolledOut(client, manifest, options.timeoutMs, say);
    }
  }
  for (const object of left) {
    await deleteObject(client, referenceOf(object), { uid: uidOf(object) });
    count("pruned");
    say(`${nameOf(object)} pruned`);
  }
  say([...counts].map(([change, number]) => `${number} ${wordOf(change)}`).join(", "));
}

/** What an earlier installation made and this one does not say; never a CRD or a namespace. */
async function findLeftOver(client: KubeClient, manifests: readonly Manifest[]) {
  const wanted = new Set(manifests.map(keyOf));
  const installed = await findInstalled(client);
  return uninstallOrder(installed).filter(
    (object) =>
      !wanted.has(keyOf(object)) &&
      isAppliedBy(object, FIELD_MANAGER) &&
      object.kind !== "CustomResourceDefinition" &&
      object.kind !== "Namespace",
  );
}

function showPlan(planned: readonly Planned[], left: readonly Manifest[], say: Say): void {
  for (const { manifest, change, before, after } of planned) {
    if (change === "unchanged" || change === "kept") continue;
    say(diffObjects(nameOf(manifest), before, after).trimEnd());
  }
  for (const object of left) say(diffObjects(nameOf(object), object, undefined).trimEnd());
  for (const { manifest, change } of planned)
    say(`${nameOf(manifest)} ${wordOf(change)} (dry run)`);
  for (const object of left) say(`${nameOf(object)} pruned (dry run)`);
}

function wordOf(change: Change | "pruned"): string {
  return change === "kept" ? "kept: the cluster has its own" : change;
}

function uidOf({ metadata }: Manifest): string | undefined {
  return typeof metadata.uid === "string" ? metadata.uid : undefined;
}
