/** Leaves out objects of kinds that a cluster does not have and the installation does not bring. */

import { isNotFound } from "#common/kube-client/apply.ts";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { isJsonObject } from "#common/runtime/json-object.ts";
import type { Manifest } from "./manifest.ts";

export interface ServedManifests {
  readonly served: readonly Manifest[];
  readonly leftOut: readonly Manifest[];
}

export async function splitByServed(
  client: KubeClient,
  manifests: readonly Manifest[],
): Promise<ServedManifests> {
  const brought = new Set(manifests.flatMap(groupBroughtBy));
  const versions = new Set(manifests.map(({ apiVersion }) => apiVersion));
  const missing = new Set<string>();
  for (const version of versions) {
    const group = version.split("/")[0] ?? "";
    if (!version.includes("/") || brought.has(group)) continue;
    if (!(await isServed(client, `/apis/${version}`))) missing.add(version);
  }
  return {
    served: manifests.filter(({ apiVersion }) => !missing.has(apiVersion)),
    leftOut: manifests.filter(({ apiVersion }) => missing.has(apiVersion)),
  };
}

/** True where the API server has the group and version, or the resource, of this path. */
export async function isServed(client: KubeClient, path: string): Promise<boolean> {
  try {
    await client.request({ method: "GET", path });
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

function groupBroughtBy({ kind, spec }: Manifest): readonly string[] {
  const group = kind === "CustomResourceDefinition" && isJsonObject(spec) ? spec.group : undefined;
  return typeof group === "string" ? [group] : [];
}
