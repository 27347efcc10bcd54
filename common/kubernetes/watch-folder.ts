/**
 * Watches a folder of Kubernetes YAML. File events say where to look, never what happened; a slow
 * poll finds what events missed. A broken file keeps its last good version in force.
 */
import { stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { DirectoryWatches } from "#common/kubernetes/directory-watches.ts";
import { type ChangedObjects, FolderContent } from "#common/kubernetes/folder-content.ts";
import { FolderIndex, isIgnored, type TreeNode } from "#common/kubernetes/folder-index.ts";
import { folderResult, folderState, sameState } from "#common/kubernetes/folder-result.ts";
import {
  MAX_PENDING_PATHS,
  UNWATCHED_POLL_PAUSE_FACTOR,
  WATCH_DEBOUNCE_MAX_MS,
  WATCH_DEBOUNCE_MS,
  WATCH_POLL_MS,
  WATCH_POLL_PAUSE_FACTOR,
} from "#common/kubernetes/limits.ts";
import type { FolderState, LoadResult } from "#common/kubernetes/load-result.ts";
import { fileProblem } from "#common/kubernetes/load-text.ts";

export type { LoadedObject, LoadResult } from "#common/kubernetes/load-result.ts";

/** What is different from the last time; `changed` is everything the first time. */
export interface FolderChange extends FolderState {
  readonly changed: ChangedObjects;
}

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

export interface WatchOptions {
  /** A burst of events is taken as one change this long after its last event. @default 30 */
  readonly debounceMs?: number;
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
  let result: LoadResult = { objects: [], problems: [], staleFiles: [], folderReadable: false };
  const watcher = new Watcher(folder, {}, ({ changed, ...state }) => {
    result = { ...watcher.result(), ...state };
    onResult(result);
  });
  await watcher.refresh();
  return {
    get result() {
      return result;
    },
    refresh: async () => {
      await watcher.refresh();
      return result;
    },
    close: () => watcher.close(),
  };
}

/** As `watchFolder`, told in changes: each costs what changed, however much else there is. */
export async function watchFolderChanges(
  folder: string,
  onChange: (change: FolderChange) => void,
  options: WatchOptions = {},
): Promise<Pick<FolderWatcher, "close">> {
  const watcher = new Watcher(folder, options, onChange);
  await watcher.refresh();
  return watcher;
}

/** The folder's own entry in its parent is watched under this name, which no path inside it has. */
const PARENT = "..";

class Watcher {
  readonly #folder: string;
  readonly #debounceMs: number;
  readonly #onChange: (change: FolderChange) => void;
  readonly #content = new FolderContent();
  readonly #index: FolderIndex;
  readonly #watches: DirectoryWatches;
  #state: FolderState | undefined;
  #pending = new Set<string>();
  #pendingSinceMs = 0;
  #debounce: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;
  /** The run in progress: runs follow each other. */
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(
    folder: string,
    { debounceMs = WATCH_DEBOUNCE_MS }: WatchOptions,
    onChange: (change: FolderChange) => void,
  ) {
    this.#folder = folder;
    this.#debounceMs = debounceMs;
    this.#onChange = onChange;
    this.#watches = new DirectoryWatches((directory, name) => this.#onEvent(directory, name));
    this.#index = new FolderIndex(folder, {
      now: Date.now,
      onDirectory: (path, identity) => this.#watch(path, join(folder, path), identity),
      onReplaced: (path, before, after) => this.#content.replace(path, before, after),
    });
  }

  result(): LoadResult {
    return folderResult(this.#index, this.#content);
  }

  async refresh(): Promise<void> {
    await this.#run([""], false);
    if (this.#poll === undefined) this.#schedulePoll(0);
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

  #schedule(path: string): void {
    if (this.#closed) return;
    if (this.#pending.size === 0) this.#pendingSinceMs = performance.now();
    this.#pending.add(this.#pending.size < MAX_PENDING_PATHS ? path : "");
    const latestMs = this.#pendingSinceMs + WATCH_DEBOUNCE_MAX_MS - performance.now();
    clearTimeout(this.#debounce);
    this.#debounce = setTimeout(
      () => this.#flush(),
      Math.max(0, Math.min(this.#debounceMs, latestMs)),
    );
  }

  #flush(): void {
    const paths = this.#pending.has("") ? [""] : [...this.#pending].sort();
    this.#pending = new Set();
    void this.#run(paths, true);
  }

  async #run(paths: readonly string[], settle: boolean, depth?: number): Promise<void> {
    const before = this.#running;
    const run = before.then(() => this.#look(paths, settle, depth));
    // A consumer that throws stops neither the watch nor those who wait for it.
    this.#running = run.catch(() => undefined);
    await run;
  }

  async #look(paths: readonly string[], settle: boolean, depth?: number): Promise<void> {
    if (this.#closed) return;
    await this.#watchParent();
    const unsettled = await this.#index.refresh(paths, settle, depth);
    if (this.#closed) return;
    if (this.#content.takeDirectoriesChanged() || paths.includes("")) {
      this.#watches.retain(new Set([PARENT, ...directoriesOf(this.#index.root)]));
    }
    for (const path of unsettled) this.#schedule(path);
    this.#deliver();
  }

  /** Where the folder itself appears, disappears or is replaced. */
  async #watchParent(): Promise<void> {
    const parent = dirname(resolve(this.#folder));
    const stats = await stat(parent, { bigint: true }).catch(() => undefined);
    if (stats !== undefined) this.#watch(PARENT, parent, `${stats.dev}:${stats.ino}`);
  }

  /** Keeps polling a small part of the time, however large the folder. */
  #schedulePoll(lookMs: number): void {
    if (this.#closed) return;
    const isWatched = this.#watches.failure === undefined;
    const pause = isWatched ? WATCH_POLL_PAUSE_FACTOR : UNWATCHED_POLL_PAUSE_FACTOR;
    const delayMs = Math.max(WATCH_POLL_MS, lookMs * pause);
    this.#poll = setTimeout(() => void this.#pollAll(), delayMs);
  }

  /** Directory by directory, so that a change that an event tells of does not wait for all. */
  async #pollAll(): Promise<void> {
    let lookMs = 0;
    for (const path of ["", ...directoriesOf(this.#index.root).slice(1)]) {
      await this.#running;
      const startedMs = performance.now();
      await this.#run([path], true, 1).catch(() => undefined);
      lookMs += performance.now() - startedMs;
    }
    this.#schedulePoll(lookMs);
  }

  #withWatchProblem(state: FolderState): FolderState {
    const { failure } = this.#watches;
    if (failure === undefined || !state.folderReadable) return state;
    const message = `changes are noticed late: it cannot be watched: ${failure}`;
    const hint = "raise fs.inotify.max_user_watches or max_user_instances";
    const problem = { ...fileProblem(this.#folder, message, hint), severity: "warning" } as const;
    return { ...state, problems: [problem, ...state.problems] };
  }

  #deliver(): void {
    const state = this.#withWatchProblem(folderState(this.#index, this.#content));
    const changed = this.#content.takeChanges();
    const before = this.#state;
    if (before !== undefined && changed.size === 0 && sameState(before, state)) return;
    this.#state = state;
    this.#onChange({ changed, ...state });
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
