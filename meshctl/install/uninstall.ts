/**
 * Takes an installation out of a cluster, in an order in which every pod still talks at every
 * moment: first the webhook, then the ztunnels, which let their pods go while istiod-lite still
 * tells them that nobody follows, then all the rest.
 */

import { deleteObject, getObject } from "#common/kube-client/apply.ts";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { listAll, METADATA_ONLY } from "#common/kube-client/list-collection.ts";
import { collectionPath } from "#common/kube-client/resources.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";
import { REDIRECTION_ANNOTATION } from "#meshctl/annotations.ts";
import { until } from "#meshctl/until.ts";
import { referenceOf } from "./apply-manifests.ts";
import type { Say } from "./install.ts";
import { uninstallOrder } from "./install-order.ts";
import { INSTALL_POLL_MS, NAMES_SHOWN } from "./limits.ts";
import { type Manifest, nameOf } from "./manifest.ts";
import { findInstalled } from "./ownership.ts";

export interface UninstallOptions {
  readonly dryRun: boolean;
  /** How long pods may take to be let go. */
  readonly timeoutMs: number;
  /** Does not wait for that: pods that are captured then have no connections. */
  readonly force: boolean;
}

/** Kinds that hold what is not the installation's own. */
const KEPT = ["CustomResourceDefinition", "Namespace"];

export interface Removal {
  readonly removed: readonly Manifest[];
  readonly kept: readonly Manifest[];
}

/**
 * What an uninstallation would remove, in order; with `purge` also CRDs, with all objects of their
 * kinds, and the namespace with the root certificate.
 */
export async function planRemoval(client: KubeClient, purge: boolean): Promise<Removal> {
  const installed = uninstallOrder(await findInstalled(client));
  const isKept = ({ kind }: Manifest) => !purge && KEPT.includes(kind);
  return {
    removed: installed.filter((object) => !isKept(object)),
    kept: installed.filter(isKept),
  };
}

/** Throws a MeshError where pods are not let go in time: then only the ztunnels are gone. */
export async function uninstall(
  client: KubeClient,
  { removed, kept }: Removal,
  { dryRun, timeoutMs, force }: UninstallOptions,
  say: Say,
): Promise<void> {
  const how = dryRun ? "deleted (dry run)" : "deleted";
  let released = false;
  for (const object of removed) {
    // Whatever comes after the DaemonSets may be what ztunnels need to let their pods go.
    const isEarly = object.kind.endsWith("WebhookConfiguration") || object.kind === "DaemonSet";
    if (!dryRun && !force && !isEarly && !released) {
      await untilReleased(client, timeoutMs, say);
      released = true;
    }
    if (!dryRun) await remove(client, object, force ? undefined : timeoutMs);
    say(`${nameOf(object)} ${how}`);
  }
  for (const object of kept) say(`${nameOf(object)} kept (--purge deletes it)`);
}

async function remove(client: KubeClient, object: Manifest, timeoutMs?: number): Promise<void> {
  const { uid } = object.metadata;
  await deleteObject(client, referenceOf(object), typeof uid === "string" ? { uid } : {});
  if (object.kind !== "DaemonSet" || timeoutMs === undefined) return;
  await untilPodsEnded(client, object, timeoutMs);
}

/** A ztunnel lets its pods go while it ends: nothing else may end before. */
function untilPodsEnded(client: KubeClient, daemonSet: Manifest, timeoutMs: number): Promise<void> {
  const { namespace } = daemonSet.metadata;
  return untilGone(timeoutMs, async () => {
    if ((await getObject(client, referenceOf(daemonSet))) !== undefined) {
      return `${nameOf(daemonSet)} is still there`;
    }
    const pods = await listPods(client, namespace);
    const left = pods.filter((pod) => ownerOf(pod) === daemonSet.metadata.uid).map(podName);
    return left.length === 0 ? undefined : `still ending: ${shorten(left)}`;
  });
}

async function untilReleased(client: KubeClient, timeoutMs: number, say: Say): Promise<void> {
  let said = -1;
  await untilGone(timeoutMs, async () => {
    const left = (await listPods(client, undefined)).filter(isCaptured).map(podName);
    if (left.length > 0 && left.length !== said) say(`pods still in the mesh: ${left.length}`);
    said = left.length;
    return left.length === 0 ? undefined : `still in the mesh: ${shorten(left)}`;
  });
}

function untilGone(timeoutMs: number, look: () => Promise<string | undefined>): Promise<void> {
  const hint =
    'docs/meshctl-cluster.md, "pods that are not let go"; meshctl uninstall again goes on from ' +
    "here, and --force does not wait";
  return until({ timeoutMs, pollMs: INSTALL_POLL_MS }, look, (missing) => {
    return new MeshError("NOT_RELEASED", `not everything was let go: ${missing}`, { hint });
  });
}

/** Those that have run to their end may say for ever that they are captured. */
const RUNNING = "status.phase!=Succeeded,status.phase!=Failed";

/** Without what is not asked for here: there may be a hundred thousand, every few moments. */
function listPods(client: KubeClient, namespace: string | undefined) {
  const path = collectionPath("Pod", namespace);
  return listAll(client, { path, fieldSelector: RUNNING, accept: METADATA_ONLY });
}

function isCaptured({ metadata }: JsonObject): boolean {
  const annotations = isJsonObject(metadata) ? metadata.annotations : undefined;
  return isJsonObject(annotations) && annotations[REDIRECTION_ANNOTATION] === "enabled";
}

function ownerOf({ metadata }: JsonObject): unknown {
  const owners = isJsonObject(metadata) ? metadata.ownerReferences : undefined;
  const [owner] = Array.isArray(owners) ? owners : [];
  return isJsonObject(owner) ? owner.uid : undefined;
}

function podName({ metadata }: JsonObject): string {
  return isJsonObject(metadata) ? `${String(metadata.namespace)}/${String(metadata.name)}` : "";
}

function shorten(names: readonly string[]): string {
  const more = names.length - NAMES_SHOWN;
  return names.slice(0, NAMES_SHOWN).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
