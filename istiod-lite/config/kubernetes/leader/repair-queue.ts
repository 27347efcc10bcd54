/**
 * Brings things about by name: a few at once, again when it fails, and with growing pauses where
 * somebody else keeps undoing it. Only while this process leads.
 */

import { Backoff } from "#common/runtime/backoff.ts";
import { describeError } from "#common/runtime/errors.ts";
import { pause } from "#common/runtime/pause.ts";
import { Semaphore } from "#common/runtime/semaphore.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { LEADER_WRITES_AT_ONCE, REPAIR_QUIET_MS } from "#istiod-lite/config/kubernetes/limits.ts";
import type { Leadership } from "#istiod-lite/config/leadership.ts";
import { isHeldBack } from "#istiod-lite/config/source.ts";
import { STATUS_RETRY_INITIAL_MS, STATUS_RETRY_MAX_MS } from "#istiod-lite/limits.ts";

export interface RepairQueueDeps {
  readonly logger: Logger;
  readonly leadership: Leadership;
  /** Whether there is something to do for the name (still). */
  readonly isDue: (name: string) => boolean;
  readonly write: (name: string) => Promise<void>;
  /** What `write` is about, for the log. */
  readonly what: string;
}

export class RepairQueue {
  readonly #deps: RepairQueueDeps;
  readonly #places = new Semaphore(LEADER_WRITES_AT_ONCE);
  readonly #working = new Map<string, Promise<void>>();
  /** What came up while it was being written. */
  readonly #again = new Set<string>();
  /** When it was written last, and how long to wait where it is undone. */
  readonly #written = new Map<string, { readonly atMs: number; readonly backoff: Backoff }>();
  readonly #closing = new AbortController();

  constructor(deps: RepairQueueDeps) {
    this.#deps = deps;
  }

  /** Writes what is due, now and until it is no more. */
  add(names: Iterable<string>): void {
    for (const name of names) {
      if (this.#working.has(name)) this.#again.add(name);
      else if (this.#mayWork(name))
        this.#working.set(
          name,
          this.#work(name).then(() => this.#done(name)),
        );
    }
  }

  forget(name: string): void {
    this.#written.delete(name);
  }

  /** Begins nothing more; resolves when what is being written is done. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#working.values());
  }

  #done(name: string): void {
    this.#working.delete(name);
    if (this.#again.delete(name)) this.add([name]);
  }

  #mayWork(name: string): boolean {
    const { leadership, isDue } = this.#deps;
    return leadership.isLeader && !this.#closing.signal.aborted && isDue(name);
  }

  async #work(name: string): Promise<void> {
    const { logger, what, write } = this.#deps;
    const before = this.#written.get(name);
    const undone = before !== undefined && performance.now() - before.atMs < REPAIR_QUIET_MS;
    const retries = undone ? before.backoff : newBackoff();
    if (undone) await this.#pause(retries.next());
    while (this.#mayWork(name)) {
      try {
        await this.#places.run(() => write(name));
        this.#written.set(name, { atMs: performance.now(), backoff: retries });
        return;
      } catch (error) {
        const why = describeError(error);
        if (!isHeldBack(error)) logger.warn(`${what} not written; trying again`, { name, why });
        await this.#pause(retries.next());
      }
    }
  }

  #pause(milliseconds: number): Promise<void> {
    return pause(milliseconds, this.#closing.signal, { ref: false });
  }
}

function newBackoff(): Backoff {
  return new Backoff({ initialMs: STATUS_RETRY_INITIAL_MS, maxMs: STATUS_RETRY_MAX_MS });
}
