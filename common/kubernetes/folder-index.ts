/**
 * The content of a folder tree in memory, brought up to date path by path: a file that did not
 * change is not read again, and what cannot be read for a moment is not taken for deleted.
 */
import type { BigIntStats } from "node:fs";
import { lstat, readdir, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { brokenFile, type FileNode, FileReader } from "#common/kubernetes/file-node.ts";
import {
  MAX_CONCURRENT_READS,
  MAX_DIRECTORIES,
  MAX_FILES,
  MAX_FOLDER_DEPTH,
} from "#common/kubernetes/limits.ts";
import { fileProblem } from "#common/kubernetes/load-text.ts";
import type { Problem } from "#common/kubernetes/problem.ts";
import { describeFileError, fileErrorCode } from "#common/kubernetes/read-file.ts";

export interface DirectoryNode {
  readonly kind: "directory";
  /** Device and inode. */
  readonly identity: string;
  readonly children: Map<string, TreeNode>;
  readonly problem?: Problem;
}

export type TreeNode = FileNode | DirectoryNode;

export interface FolderIndexOptions {
  readonly now: () => number;
  /** Called before a directory is listed, so that no change after the listing is missed. */
  readonly onDirectory?: (path: string, identity: string) => void;
  /** A part of the tree, as it was and as it is now. */
  readonly onReplaced?: (
    path: string,
    before: TreeNode | undefined,
    after: TreeNode | undefined,
  ) => void;
}

const EXTENSIONS = new Set([".yaml", ".yml", ".json"]);

/** Where a visit stands; `path` is relative to the folder, "" for the folder itself. */
interface Visit {
  readonly path: string;
  /** The identities of the directories above. */
  readonly ancestors: readonly string[];
  readonly settle: boolean;
  readonly unsettled: string[];
  /** Levels of known directories that are entered; those that are new are entered wholly. */
  readonly depth: number;
}

export class FolderIndex {
  readonly #folder: string;
  readonly #onDirectory: FolderIndexOptions["onDirectory"];
  readonly #onReplaced: FolderIndexOptions["onReplaced"];
  readonly #reader: FileReader;
  #root: DirectoryNode | undefined;
  #rootProblem: Problem | undefined;
  #counts = { files: 0, directories: 0 };

  constructor(folder: string, options: FolderIndexOptions) {
    this.#folder = folder;
    this.#onDirectory = options.onDirectory;
    this.#onReplaced = options.onReplaced;
    this.#reader = new FileReader(options.now);
  }

  /** The tree as last seen; undefined until the folder could be read for the first time. */
  get root(): DirectoryNode | undefined {
    return this.#root;
  }

  /** Why the folder itself cannot be read now; its last content is then kept. */
  get rootProblem(): Problem | undefined {
    return this.#rootProblem;
  }

  /**
   * Looks at the given paths inside the folder ("" is all of it) and at everything below them, or
   * `depth` levels of known directories. Returns the files that have to be looked at again soon, of
   * which there are none unless they shall `settle`.
   */
  async refresh(
    paths: Iterable<string>,
    settle: boolean,
    depth: number = Number.POSITIVE_INFINITY,
  ): Promise<readonly string[]> {
    const visit = { path: "", ancestors: [], settle, unsettled: [], depth };
    for (const path of paths) await this.#refreshPath(path, visit);
    return visit.unsettled;
  }

  async #refreshPath(path: string, whole: Visit): Promise<void> {
    const steps = path === "" ? [] : path.split("/");
    if (this.#root === undefined || this.#rootProblem !== undefined || steps.length === 0) {
      await this.#refreshRoot(whole);
      return;
    }
    let directory = this.#root;
    const ancestors = [directory.identity];
    for (const [index, step] of steps.entries()) {
      const child: TreeNode | undefined = directory.children.get(step);
      if (child?.kind === "directory" && index < steps.length - 1) {
        directory = child;
        ancestors.push(child.identity);
        continue;
      }
      const counted = countNodes(child);
      this.#counts.files -= counted.files;
      this.#counts.directories -= counted.directories;
      const visit = { ...whole, path: steps.slice(0, index + 1).join("/"), ancestors };
      const node = await this.#visit(visit, child);
      if (node === undefined) directory.children.delete(step);
      else directory.children.set(step, node);
      this.#onReplaced?.(visit.path, child, node);
      return;
    }
  }

  async #refreshRoot(visit: Visit): Promise<void> {
    try {
      const stats = await stat(this.#folder, { bigint: true });
      this.#counts = { files: 0, directories: 0 };
      const node = await this.#visitDirectory(visit, stats, this.#root);
      this.#rootProblem = node.problem;
      if (node.problem !== undefined) return;
      const before = this.#root;
      this.#root = node;
      this.#onReplaced?.("", before, node);
    } catch (error) {
      const hint = this.#root === undefined ? "create it" : "its last content stays in force";
      this.#rootProblem = fileProblem(this.#folder, describeFileError(error), hint);
    }
  }

  /** What is at a path now; undefined for nothing, and for what is none of ours. */
  async #visit(visit: Visit, before: TreeNode | undefined): Promise<TreeNode | undefined> {
    const { path, settle } = visit;
    if (isIgnored(path)) return undefined;
    const ours = EXTENSIONS.has(extname(path));
    const absolute = join(this.#folder, path);
    const fileBefore = before?.kind === "file" ? before : undefined;
    try {
      const stats = await stat(absolute, { bigint: true });
      if (stats.isDirectory()) {
        return this.#keep(visit, stats, before) ?? (await this.#enter(visit, stats, before));
      }
      if (!ours) return undefined;
      if (++this.#counts.files > MAX_FILES) {
        return brokenFile(absolute, `is beyond the limit of ${MAX_FILES} files: not read`);
      }
      const { node, unsettled } = await this.#reader.visit(absolute, stats, fileBefore, settle);
      if (unsettled) visit.unsettled.push(path);
      return node;
    } catch (error) {
      const reason = await reasonToKeep(absolute, error);
      return reason === undefined || !ours ? undefined : brokenFile(absolute, reason, fileBefore);
    }
  }

  /** A known directory that is too deep to be entered. */
  #keep({ depth }: Visit, { dev, ino }: BigIntStats, before: TreeNode | undefined) {
    if (depth > 0 || before?.kind !== "directory" || before.problem !== undefined) return undefined;
    if (before.identity !== `${dev}:${ino}`) return undefined;
    const { files, directories } = countNodes(before);
    this.#counts.files += files;
    this.#counts.directories += directories;
    return before;
  }

  async #enter(
    visit: Visit,
    stats: BigIntStats,
    before: TreeNode | undefined,
  ): Promise<DirectoryNode> {
    const depth = visit.depth > 0 ? visit.depth : Number.POSITIVE_INFINITY;
    return await this.#visitDirectory({ ...visit, depth }, stats, before);
  }

  async #visitDirectory(
    visit: Visit,
    stats: BigIntStats,
    before: TreeNode | undefined,
  ): Promise<DirectoryNode> {
    const absolute = join(this.#folder, visit.path);
    const identity = `${stats.dev}:${stats.ino}`;
    const known = before?.kind === "directory" ? before.children : new Map<string, TreeNode>();
    const refusal = this.#refuseDirectory(visit, identity);
    if (refusal !== undefined) {
      const problem = fileProblem(absolute, refusal);
      return { kind: "directory", identity, children: new Map(), problem };
    }
    this.#onDirectory?.(visit.path, identity);
    try {
      const names = (await readdir(absolute)).sort();
      const ancestors = [...visit.ancestors, identity];
      const below = { ...visit, ancestors, depth: visit.depth - 1 };
      const children = await this.#visitChildren(below, names, known);
      return { kind: "directory", identity, children };
    } catch (error) {
      const problem = fileProblem(absolute, describeFileError(error));
      return { kind: "directory", identity, children: known, problem };
    }
  }

  #refuseDirectory(visit: Visit, identity: string): string | undefined {
    if (visit.ancestors.includes(identity)) return "leads back to a folder above it: not entered";
    if (visit.ancestors.length > MAX_FOLDER_DEPTH) {
      return `is nested deeper than ${MAX_FOLDER_DEPTH} folders: not entered`;
    }
    if (++this.#counts.directories > MAX_DIRECTORIES) {
      return `is beyond the limit of ${MAX_DIRECTORIES} folders: not entered`;
    }
    return undefined;
  }

  async #visitChildren(
    visit: Visit,
    names: readonly string[],
    known: ReadonlyMap<string, TreeNode>,
  ): Promise<Map<string, TreeNode>> {
    const children = new Map<string, TreeNode>();
    for (let start = 0; start < names.length; start += MAX_CONCURRENT_READS) {
      const batch = names.slice(start, start + MAX_CONCURRENT_READS);
      const visits = batch.map(async (name) => {
        const path = visit.path === "" ? name : `${visit.path}/${name}`;
        return [name, await this.#visit({ ...visit, path }, known.get(name))] as const;
      });
      for (const [name, node] of await Promise.all(visits)) {
        if (node !== undefined) children.set(name, node);
      }
    }
    return children;
  }
}

/** Files and folders that editors and tools hide. */
export function isIgnored(path: string): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return name.startsWith(".") || name.endsWith("~");
}

/** Undefined when there is nothing at the path any more. */
async function reasonToKeep(absolute: string, error: unknown): Promise<string | undefined> {
  if (fileErrorCode(error) !== "ENOENT") return describeFileError(error);
  const link = await lstat(absolute).catch(() => undefined);
  return link?.isSymbolicLink() === true ? "is a symbolic link to nothing" : undefined;
}

function countNodes(node: TreeNode | undefined): { files: number; directories: number } {
  if (node === undefined) return { files: 0, directories: 0 };
  if (node.kind === "file") return { files: 1, directories: 0 };
  const sum = { files: 0, directories: 1 };
  for (const child of node.children.values()) {
    const { files, directories } = countNodes(child);
    sum.files += files;
    sum.directories += directories;
  }
  return sum;
}
