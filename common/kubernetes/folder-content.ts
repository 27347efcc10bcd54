/**
 * What the files of a folder come to, checked across files, kept up to date file by file: taking a
 * change in costs what changed, however many other files there are.
 */
import { CrossChecks } from "#common/kubernetes/cross-check.ts";
import type { FileNode } from "#common/kubernetes/file-node.ts";
import type { TreeNode } from "#common/kubernetes/folder-index.ts";
import type { LoadedObject } from "#common/kubernetes/load-result.ts";
import type { FileContent } from "#common/kubernetes/load-text.ts";
import { type KubernetesObject, objectKey } from "#common/kubernetes/objects.ts";
import type { Problem } from "#common/kubernetes/problem.ts";

/** Objects that differ, by key: what they are now, undefined where they are gone. */
export type ChangedObjects = ReadonlyMap<string, KubernetesObject | undefined>;

const NO_CHILDREN: ReadonlyMap<string, TreeNode> = new Map();

export class FolderContent {
  readonly #checks = new CrossChecks();
  /** Of files and directories that have any, by path. */
  readonly #problems = new Map<string, readonly Problem[]>();
  readonly #staleFiles = new Set<string>();
  /** What each key that was touched stood for when changes were taken last. */
  readonly #before = new Map<string, LoadedObject | undefined>();
  #directoriesChanged = false;

  /** In force, one per key: the first in the order of files. */
  owner(key: string): LoadedObject | undefined {
    return this.#checks.owner(key);
  }

  /** By file, line and column; the order does not depend on what came first. */
  problems(): readonly Problem[] {
    return [...this.#problems.values()].flat().concat(this.#checks.problems()).sort(comparePlaces);
  }

  /** Files whose last good version is in force instead, sorted. */
  staleFiles(): readonly string[] {
    return [...this.#staleFiles].sort();
  }

  /** What a part of the tree was, and what it is now; what is the same (`===`) is passed by. */
  replace(path: string, before: TreeNode | undefined, after: TreeNode | undefined): void {
    if (before === after) return;
    if (before?.kind === "file" || after?.kind === "file") this.#replaceFile(before, after);
    if (before?.kind === "directory" || after?.kind === "directory") {
      this.#replaceDirectory(path, before, after);
    }
  }

  /** What changed since the last call. */
  takeChanges(): ChangedObjects {
    const changes = new Map<string, KubernetesObject | undefined>();
    for (const [key, before] of this.#before) {
      const now = this.owner(key);
      if (now !== before) changes.set(key, now?.object);
    }
    this.#before.clear();
    return changes;
  }

  /** Whether directories came or went since the last call. */
  takeDirectoriesChanged(): boolean {
    const changed = this.#directoriesChanged;
    this.#directoriesChanged = false;
    return changed;
  }

  #replaceDirectory(path: string, before: TreeNode | undefined, after: TreeNode | undefined): void {
    const old = before?.kind === "directory" ? before.children : NO_CHILDREN;
    const now = after?.kind === "directory" ? after.children : NO_CHILDREN;
    if (old === NO_CHILDREN || now === NO_CHILDREN) this.#directoriesChanged = true;
    const problem = after?.kind === "directory" ? after.problem : undefined;
    this.#setProblems(`${path}/`, problem === undefined ? [] : [problem]);
    const pathOf = (name: string): string => (path === "" ? name : `${path}/${name}`);
    for (const [name, child] of old) {
      if (!now.has(name)) this.replace(pathOf(name), child, undefined);
    }
    for (const [name, child] of now) this.replace(pathOf(name), old.get(name), child);
  }

  #replaceFile(before: TreeNode | undefined, after: TreeNode | undefined): void {
    const old = before?.kind === "file" ? before : undefined;
    const now = after?.kind === "file" ? after : undefined;
    if (old?.content === now?.content && old?.good === now?.good) return;
    if (old !== undefined) this.#forget(old);
    if (now !== undefined) this.#remember(now);
  }

  #forget(node: FileNode): void {
    const { file, objects } = inForce(node);
    this.#touch(objects);
    this.#checks.remove(file);
    this.#setProblems(file, []);
    this.#staleFiles.delete(file);
  }

  #remember(node: FileNode): void {
    const { content, good } = node;
    const { file, objects } = inForce(node);
    this.#touch(objects);
    this.#checks.put(file, objects, content.unknownKinds);
    this.#setProblems(file, content.problems);
    if (content.hasErrors && good !== undefined) this.#staleFiles.add(file);
  }

  #touch(objects: readonly LoadedObject[]): void {
    for (const { object } of objects) {
      const key = objectKey(object);
      if (!this.#before.has(key)) this.#before.set(key, this.owner(key));
    }
  }

  #setProblems(place: string, problems: readonly Problem[]): void {
    if (problems.length === 0) this.#problems.delete(place);
    else this.#problems.set(place, problems);
  }
}

function inForce({ content, good }: FileNode): FileContent {
  return good ?? content;
}

function comparePlaces(a: Problem, b: Problem): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  if (a.line !== b.line || a.column !== b.column) return a.line - b.line || a.column - b.column;
  return a.message < b.message ? -1 : a.message > b.message ? 1 : 0;
}
