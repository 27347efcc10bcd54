/**
 * Watches the memory of this process's cgroup: before the kernel kills a proxy that carries a
 * node's traffic, it takes no more of it. Sources: the kernel's cgroup-v1/memory.rst and
 * cgroup-v2.rst.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { MEMORY_CHECK_MS, MEMORY_ENOUGH_SHARE, MEMORY_SHORT_SHARE } from "./limits.ts";
import { pause } from "./pause.ts";

export interface MemoryUse {
  /** Without the page cache that can be given back at once, as a kubelet counts. */
  readonly usedBytes: number;
  readonly limitBytes: number;
}

export interface MemoryWatchDeps {
  /** Directory of the cgroup's files. */
  readonly dir: string;
  /** Called with whether memory is short, when that changes. */
  readonly onChange: (short: boolean, use: MemoryUse) => void;
}

const V1 = {
  limit: "memory.limit_in_bytes",
  used: "memory.usage_in_bytes",
  cache: "total_inactive_file",
};
const V2 = { limit: "memory.max", used: "memory.current", cache: "inactive_file" };

/** Larger "limits" are how version 1 says that there is none. */
const NO_LIMIT_BYTES = 2 ** 50;

/** Undefined where there is no limit, or no cgroup. */
export async function readMemoryUse(dir: string): Promise<MemoryUse | undefined> {
  for (const names of [V2, V1]) {
    try {
      const [limit, used, stat] = await Promise.all(
        [names.limit, names.used, "memory.stat"].map((name) => readFile(join(dir, name), "utf8")),
      );
      const limitBytes = Number(limit);
      // Version 2 says "max".
      if (!(limitBytes > 0 && limitBytes < NO_LIMIT_BYTES)) return undefined;
      const cache = new RegExp(`^${names.cache} (\\d+)$`, "m").exec(stat ?? "")?.[1];
      return { usedBytes: Number(used) - Number(cache ?? 0), limitBytes };
    } catch {
      // Of the other version, or none: files that are not there are an answer.
    }
  }
  return undefined;
}

export class MemoryWatch {
  readonly #deps: MemoryWatchDeps;
  #short = false;

  constructor(deps: MemoryWatchDeps) {
    this.#deps = deps;
  }

  get isShort(): boolean {
    return this.#short;
  }

  /** Looks until the signal aborts; once, where there is no limit. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const use = await readMemoryUse(this.#deps.dir);
      if (use === undefined) {
        if (this.#short) this.#set(false, { usedBytes: 0, limitBytes: 0 });
        return;
      }
      const share = use.usedBytes / use.limitBytes;
      if (!this.#short && share >= MEMORY_SHORT_SHARE) this.#set(true, use);
      if (this.#short && share < MEMORY_ENOUGH_SHARE) this.#set(false, use);
      await pause(MEMORY_CHECK_MS, signal);
    }
  }

  #set(short: boolean, use: MemoryUse): void {
    this.#short = short;
    this.#deps.onChange(short, use);
  }
}
