/** What a folder of YAML comes to: the result type that loader and watcher share. */
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import type { Problem } from "#common/kubernetes/problem.ts";

export interface LoadedObject {
  readonly object: KubernetesObject;
  /** The folder as given, joined with the path inside it. */
  readonly file: string;
  /** Where the object begins, from 1. */
  readonly line: number;
}

/** What is known of a folder beside its objects. */
export interface FolderState {
  /** By file, line and column. */
  readonly problems: readonly Problem[];
  /**
   * Files that have errors now and whose last good version is in force instead, sorted. Always
   * empty for
   * `loadFolder`, which has no past: there the valid objects of a broken file count.
   */
  readonly staleFiles: readonly string[];
  /**
   * False while the folder itself is missing or unreadable: the last known objects are then in
   * force.
   */
  readonly folderReadable: boolean;
}

export interface LoadResult extends FolderState {
  /**
   * The objects in force, by file name and place in the file; one per object key. Objects of a file
   * that did not change since the last result are the very same (`===`) values.
   */
  readonly objects: readonly LoadedObject[];
}
