/** Loads a folder of Kubernetes YAML once. */
import { FolderContent } from "#common/kubernetes/folder-content.ts";
import { FolderIndex } from "#common/kubernetes/folder-index.ts";
import { folderResult } from "#common/kubernetes/folder-result.ts";
import type { LoadResult } from "#common/kubernetes/load-result.ts";

export type { LoadedObject, LoadResult } from "#common/kubernetes/load-result.ts";

/**
 * Reads `*.yaml`, `*.yml` and `*.json` below a folder (files that begin with a dot or end with `~`
 * are skipped, symbolic links followed). Never throws for what it finds there: everything wrong is
 * a problem of the result.
 */
export async function loadFolder(folder: string): Promise<LoadResult> {
  const content = new FolderContent();
  const index = new FolderIndex(folder, {
    now: Date.now,
    onReplaced: (path, before, after) => content.replace(path, before, after),
  });
  await index.refresh([""], false);
  return folderResult(index, content);
}
