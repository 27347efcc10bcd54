/**
 * Makes a cluster what the manifests say, object by object, by server-side apply: first all of it
 * as a dry run, so that what the cluster refuses is known before anything is changed.
 */

import { applyObject, getObject, isNotFound } from "#common/kube-client/apply.ts";
import { KubeApiError, type KubeClient } from "#common/kube-client/kube-client.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";
import { until } from "#meshctl/until.ts";
import { installOrder } from "./install-order.ts";
import { CRD_ESTABLISHED_TIMEOUT_MS, INSTALL_POLL_MS } from "./limits.ts";
import { type Manifest, nameOf } from "./manifest.ts";
import { sameObject } from "./object-diff.ts";
import { isOurs } from "./ownership.ts";
import { refuseUnfit } from "./unfit.ts";

/** Owns the fields that an installation says. */
export const FIELD_MANAGER = "meshctl";

/** `kept`: a CRD or a GatewayClass that somebody else brought. */
export type Change = "created" | "configured" | "unchanged" | "kept";

export interface Planned {
  readonly manifest: Manifest;
  readonly change: Change;
  readonly before: JsonObject | undefined;
  readonly after: JsonObject;
}

export interface ApplyManifestsOptions {
  /** Takes over fields that others own. */
  readonly forceConflicts: boolean;
}

/** What would change, in order. Throws a MeshError with all that is refused. */
export async function planManifests(
  client: KubeClient,
  manifests: readonly Manifest[],
  options: ApplyManifestsOptions,
): Promise<readonly Planned[]> {
  const planned: Planned[] = [];
  const refused: string[] = [];
  for (const manifest of installOrder(manifests)) {
    try {
      planned.push(await planOne(client, manifest, options));
    } catch (error) {
      // Nobody who answers, and nobody who is known: that is so for every object.
      if (!(error instanceof KubeApiError) || error.status === 0 || error.status === 401) {
        throw error;
      }
      refused.push(`${nameOf(manifest)}: ${refusalOf(error)}`);
    }
  }
  if (refused.length === 0) return planned;
  const conflict = refused.some((text) => text.includes(CONFLICT));
  throw new MeshError("REFUSED", `the cluster refuses this:\n  ${refused.join("\n  ")}`, {
    hint: conflict
      ? "--force-conflicts takes these fields over from whoever owns them"
      : "meshctl check --pre says what is missing; nothing was changed",
  });
}

async function planOne(
  client: KubeClient,
  manifest: Manifest,
  { forceConflicts }: ApplyManifestsOptions,
): Promise<Planned> {
  const found = await getObject(client, referenceOf(manifest));
  const before = isJsonObject(found) ? found : undefined;
  if (before !== undefined) refuseUnfit(manifest, before);
  if (before !== undefined && isForeign(manifest, before)) {
    return { manifest, change: "kept", before, after: before };
  }
  const options = { force: forceConflicts, dryRun: true };
  try {
    const answer = await applyObject(client, manifest, FIELD_MANAGER, options);
    const after = isJsonObject(answer) ? answer : manifest;
    const change =
      before === undefined ? "created" : sameObject(before, after) ? "unchanged" : "configured";
    return { manifest, change, before, after };
  } catch (error) {
    // Its namespace, or its own kind, comes with the same installation.
    if (before !== undefined || !isNotFound(error)) throw error;
    return { manifest, change: "created", before, after: manifest };
  }
}

/** Makes one planned change real, and says what it was. */
export async function applyPlanned(
  client: KubeClient,
  { manifest, change, before }: Planned,
  { forceConflicts }: ApplyManifestsOptions,
): Promise<Change> {
  if (change === "kept" || change === "unchanged") return change;
  const answer = await applyObject(client, manifest, FIELD_MANAGER, { force: forceConflicts });
  if (manifest.kind === "CustomResourceDefinition") await untilEstablished(client, manifest);
  return before === undefined || versionOf(before) !== versionOf(answer) ? change : "unchanged";
}

function untilEstablished(client: KubeClient, manifest: Manifest): Promise<void> {
  const look = async (): Promise<string | undefined> => {
    const crd = await getObject(client, referenceOf(manifest));
    const status = isJsonObject(crd) && isJsonObject(crd.status) ? crd.status : {};
    const all = Array.isArray(status.conditions) ? status.conditions.filter(isJsonObject) : [];
    if (all.some(({ type, status: is }) => type === "Established" && is === "True")) return;
    return String(all.find(({ status: is }) => is === "False")?.message ?? "it says nothing");
  };
  const patience = { timeoutMs: CRD_ESTABLISHED_TIMEOUT_MS, pollMs: INSTALL_POLL_MS };
  return until(patience, look, (why) => {
    return new MeshError("NOT_ESTABLISHED", `${nameOf(manifest)} is not served: ${why}`, {
      hint: `kubectl describe crd ${manifest.metadata.name}`,
    });
  });
}

export function referenceOf({ apiVersion, kind, metadata: { name, namespace } }: Manifest) {
  return { apiVersion, kind, name, namespace } satisfies Parameters<typeof getObject>[1];
}

/** CRDs of Istio and the Gateway API belong to whoever brought them first, and so does a class. */
function isForeign({ kind }: Manifest, before: JsonObject): boolean {
  return (kind === "CustomResourceDefinition" || kind === "GatewayClass") && !isOurs(before);
}

function versionOf(object: unknown): unknown {
  const metadata = isJsonObject(object) ? object.metadata : undefined;
  return isJsonObject(metadata) ? metadata.resourceVersion : undefined;
}

const CONFLICT = "is owned by others:";

function refusalOf(error: KubeApiError): string {
  const text = error.message.replace(/^[A-Z]+ \S+: /, "");
  return error.reason === "Conflict" ? `a field ${CONFLICT} ${text}` : text;
}
