/** Loads a folder of Kubernetes YAML once. */
import type { LoadResult } from "#common/kubernetes/load-result.ts";
import { MeshError } from "#common/runtime/errors.ts";

export type { LoadedObject, LoadResult } from "#common/kubernetes/load-result.ts";

/**
 * Reads `*.yaml`, `*.yml` and `*.json` below a folder (files that begin with a dot are skipped). Never
 * throws for what it finds there: everything wrong is a problem of the result.
 */
export function loadFolder(folder: string): Promise<LoadResult> {
  return Promise.reject(new MeshError("NOT_YET", `loading ${folder} is being written`));
}
