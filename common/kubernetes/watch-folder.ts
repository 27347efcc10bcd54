/**
 * Watches a folder of Kubernetes YAML. File events say where to look, never what happened; a slow
 * poll finds what events missed. A broken file keeps its last good version in force.
 */
import { stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { DirectoryWatches } from "#common/kubernetes/directory-watches.ts";
import { FolderIndex, isIgnored, type TreeNode } from "#common/kubernetes/folder-index.ts";
import { folderResult, sameResult } from "#common/kubernetes/folder-result.ts";
import {
  MAX_PENDING_PATHS,
  WATCH_DEBOUNCE_MAX_MS,
  WATCH_DEBOUNCE_MS,
  WATCH_POLL_MS,
} from "#common/kubernetes/limits.ts";
import type { LoadResult } from "#common/kubernetes/load-result.ts";
import { fileProblem } from "#common/kubernetes/load-text.ts";

export type { LoadedObject, LoadResult } from "#common/kubernetes/load-result.ts";

export interface FolderWatcher {
  /** The last result that was delivered. */
  readonly result: LoadResult;
  /**
   * Looks at the whole folder now, without waiting for an event; `onResult` is called first if it
   * differs.
   */
  refresh(): Promise<LoadResult>;
  /** No call of `onResult` follows. */
  close(): Promise<void>;
}

/**
 * Calls `onResult` with the content of the folder, then whenever objects or problems changed.
 * Resolves after the first call, also when the folder does not exist yet (`folderReadable` is then
 * false). A folder that vanishes later keeps its last content in force until it is back.
 */
export async function watchFolder(
  folder: string,
  onResult: (result: LoadResult) => void,
): Promise<FolderWatcher> {
  const watcher = new Watcher(folder, onResult);
  await watcher.refresh();
  return watcher;
}

/** The folder's own entry in its parent is watched under this name, which no path inside it has. */
const PARENT = "..";

class Watcher implements FolderWatcher {
  readonly #folder: string;
  readonly #onResult: (result: LoadResult) => void;
  readonly #index: FolderIndex;
  readonly #watches: DirectoryWatches;
  #result: LoadResult | undefined;
  #pending = new Set<string>();
  #pendingSinceMs = 0;
  #debounce: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;
  /** The run in progress: runs follow each other. */
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(folder: string, onResult: (result: LoadResult) => void) {
    this.#folder = folder;
    this.#onResult = onResult;
    this.#watches = new DirectoryWatches((directory, name) => this.#onEvent(directory, name));
    this.#index = new FolderIndex(folder, {
      now: Date.now,
      onDirectory: (path, identity) => this.#watch(path, join(folder, path), identity),
    });
  }

  get result(): LoadResult {
    return this.#result ?? folderResult(this.#index);
  }

  async refresh(): Promise<LoadResult> {
    await this.#run([""], false);
    return this.result;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#debounce);
    clearTimeout(this.#poll);
    this.#watches.close();
    await this.#running;
  }

  #watch(key: string, path: string, identity: string): void {
    if (!this.#closed) this.#watches.ensure(key, path, identity);
  }

  #onEvent(directory: string, name: string | undefined): void {
    if (directory === PARENT) {
      if (name !== undefined && name !== basename(resolve(this.#folder))) return;
      this.#watches.retain(new Set([PARENT]));
      this.#schedule("");
    } else if (name === undefined) {
      this.#schedule(directory);
    } else if (!isIgnored(name)) {
      this.#schedule(directory === "" ? name : `${directory}/${name}`);
    }
  }

  #schedule(path: string, delayMs = WATCH_DEBOUNCE_MS): void {
    if (this.#closed) return;
    if (this.#pending.size === 0) this.#pendingSinceMs = performance.now();
    this.#pending.add(this.#pending.size < MAX_PENDING_PATHS ? path : "");
    const latestMs = this.#pendingSinceMs + WATCH_DEBOUNCE_MAX_MS - performance.now();
    clearTimeout(this.#debounce);
    this.#debounce = setTimeout(() => this.#flush(), Math.max(0, Math.min(delayMs, latestMs)));
  }

  #flush(): void {
    const paths = this.#pending.has("") ? [""] : [...this.#pending].sort();
    this.#pending = new Set();
    void this.#run(paths, true);
  }

  async #run(paths: readonly string[], settle: boolean): Promise<void> {
    const before = this.#running;
    const run = before.then(() => this.#look(paths, settle));
    // A consumer that throws stops neither the watch nor those who wait for it.
    this.#running = run.catch(() => undefined);
    await run;
  }

  async #look(paths: readonly string[], settle: boolean): Promise<void> {
    if (this.#closed) return;
    const startedMs = performance.now();
    await this.#watchParent();
    const unsettled = await this.#index.refresh(paths, settle);
    if (this.#closed) return;
    this.#watches.retain(new Set([PARENT, ...directoriesOf(this.#index.root)]));
    for (const path of unsettled) this.#schedule(path);
    if (paths.includes("")) this.#schedulePoll(performance.now() - startedMs);
    this.#deliver(this.#withWatchProblem(folderResult(this.#index)));
  }

  /** Where the folder itself appears, disappears or is replaced. */
  async #watchParent(): Promise<void> {
    const parent = dirname(resolve(this.#folder));
    const stats = await stat(parent, { bigint: true }).catch(() => undefined);
    if (stats !== undefined) this.#watch(PARENT, parent, `${stats.dev}:${stats.ino}`);
  }

  /** Keeps polling a small part of the time, however large the folder. */
  #schedulePoll(lookMs: number): void {
    clearTimeout(this.#poll);
    const delayMs = Math.max(WATCH_POLL_MS, lookMs * 20);
    this.#poll = setTimeout(() => this.#schedule("", 0), delayMs);
  }

  #withWatchProblem(result: LoadResult): LoadResult {
    const { failure } = this.#watches;
    if (failure === undefined || !result.folderReadable) return result;
    const message = `changes are noticed late: it cannot be watched: ${failure}`;
    const hint = "raise fs.inotify.max_user_watches or max_user_instances";
    const problem = { ...fileProblem(this.#folder, message, hint), severity: "warning" } as const;
    return { ...result, problems: [problem, ...result.problems] };
  }

  #deliver(result: LoadResult): void {
    if (this.#result !== undefined && sameResult(this.#result, result)) return;
    this.#result = result;
    this.#onResult(result);
  }
}

/** The paths of all directories in a tree, the root being "". */
function directoriesOf(root: TreeNode | undefined): string[] {
  const paths: string[] = [];
  const collect = (node: TreeNode, path: string): void => {
    if (node.kind === "file") return;
    paths.push(path);
    for (const [name, child] of node.children)
      collect(child, path === "" ? name : `${path}/${name}`);
  };
  if (root !== undefined) collect(root, "");
  return paths;
}
