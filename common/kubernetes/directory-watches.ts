/**
 * One file system watch per directory of a tree. Node's own recursive watch holds a watch per file
 * and loses track of directories that are replaced; this one is told which directories there are.
 */
import { type FSWatcher, watch } from "node:fs";
import { describeFileError } from "#common/kubernetes/read-file.ts";

/** `name` is undefined when the system does not say which entry of the directory changed. */
export type DirectoryEvent = (directory: string, name: string | undefined) => void;

interface Watch {
  readonly watcher: FSWatcher;
  readonly identity: string;
}

export class DirectoryWatches {
  readonly #onEvent: DirectoryEvent;
  readonly #watches = new Map<string, Watch>();
  readonly #failures = new Map<string, string>();

  constructor(onEvent: DirectoryEvent) {
    this.#onEvent = onEvent;
  }

  /** Why some directory is not watched at present, so that only polling sees its changes. */
  get failure(): string | undefined {
    const [first] = this.#failures.values();
    return first;
  }

  /**
   * Watches a directory unless this very one (by `identity`) is watched; `key` is its name in
   * events.
   */
  ensure(key: string, path: string, identity: string): void {
    if (this.#watches.get(key)?.identity === identity) return;
    this.#close(key);
    try {
      const watcher = watch(path, (event, name) => {
        // A directory of this name may have been replaced: what watched it watches nothing now.
        if (event === "rename" && name !== null) this.forget(key === "" ? name : `${key}/${name}`);
        this.#onEvent(key, name ?? undefined);
      });
      watcher.on("error", () => {
        this.#close(key);
        this.#onEvent(key, undefined);
      });
      this.#watches.set(key, { watcher, identity });
      this.#failures.delete(key);
    } catch (error) {
      this.#failures.set(key, describeFileError(error));
    }
  }

  /** Stops watching a directory and everything below it. */
  forget(key: string): void {
    for (const other of this.#watches.keys()) {
      if (other === key || other.startsWith(`${key}/`)) this.#close(other);
    }
  }

  /** Stops watching what is not in `keys`. */
  retain(keys: ReadonlySet<string>): void {
    for (const key of this.#watches.keys()) if (!keys.has(key)) this.#close(key);
    for (const key of this.#failures.keys()) if (!keys.has(key)) this.#failures.delete(key);
  }

  close(): void {
    for (const key of this.#watches.keys()) this.#close(key);
  }

  #close(key: string): void {
    this.#watches.get(key)?.watcher.close();
    this.#watches.delete(key);
  }
}
