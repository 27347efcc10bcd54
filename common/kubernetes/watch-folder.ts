/** Watches a folder of Kubernetes YAML. */
import type { LoadResult } from "#common/kubernetes/load-result.ts";
import { MeshError } from "#common/runtime/errors.ts";

export interface FolderWatcher {
  /** Looks at the whole folder now, without waiting for an event; `onResult` is called first if it differs. */
  refresh(): Promise<LoadResult>;
  /** No call of `onResult` follows. */
  close(): Promise<void>;
}

/**
 * Calls `onResult` with the content of the folder, then whenever objects or problems changed. Resolves
 * after the first call, also when the folder does not exist yet (`folderReadable` is then false).
 */
export function watchFolder(
  folder: string,
  onResult: (result: LoadResult) => void,
): Promise<FolderWatcher> {
  return Promise.reject(
    new MeshError("NOT_YET", `watching ${folder} is being written ${onResult}`),
  );
}
