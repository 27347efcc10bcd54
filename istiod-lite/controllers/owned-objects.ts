/**
 * Has what Gateways want to run brought about: one write at a time, of each owner the newest, tried
 * again until it succeeds.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Backoff } from "#common/runtime/backoff.ts";
import { describeError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import type { OwnedObjectsWriter } from "../config/source.ts";
import { STATUS_RETRY_INITIAL_MS, STATUS_RETRY_MAX_MS } from "../limits.ts";
import type { OwnedObjects } from "../registry/registry-update.ts";

export interface OwnedObjectsDeps {
  /** Undefined where nobody runs anything for this control plane. */
  readonly writer: OwnedObjectsWriter | undefined;
  readonly logger: Logger;
  /** Whether all objects of the source are known: what one seems to be without may be lost. */
  readonly isWhole: () => boolean;
}

export class OwnedObjectsController {
  readonly #deps: OwnedObjectsDeps;
  readonly #waiting = new Map<string, OwnedObjects>();
  /** Everybody who wants something now. */
  readonly #owners = new Set<string>();
  /** Set until what an earlier process left behind has been looked at. */
  #unknown = true;
  #writing: Promise<void> | undefined;
  readonly #closing = new AbortController();

  constructor(deps: OwnedObjectsDeps) {
    this.#deps = deps;
  }

  /** Takes what a registry update wants; the first one has everything there is. */
  apply(owned: readonly OwnedObjects[]): void {
    const { writer, logger } = this.#deps;
    if (writer === undefined) {
      const owners = owned.filter(({ objects }) => objects.length > 0).map(({ owner }) => owner);
      if (owners.length > 0) {
        const why = "istiod-lite was started without --owned";
        logger.warn("nobody runs what these want", { owners: owners.join(" "), why });
      }
      return;
    }
    for (const each of owned) {
      this.#waiting.set(each.owner, each);
      if (each.objects.length > 0) this.#owners.add(each.owner);
      else this.#owners.delete(each.owner);
    }
    if (this.#waiting.size === 0 && !this.#mayLook) return;
    this.#writing ??= this.#writeAll(writer).finally(() => {
      this.#writing = undefined;
    });
  }

  /** Resolves when everything that was asked for is there. */
  async idle(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  /** Tries nothing again; resolves when the write in progress is done. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#writing;
  }

  get #mayLook(): boolean {
    return this.#unknown && this.#deps.isWhole();
  }

  async #writeAll(writer: OwnedObjectsWriter): Promise<void> {
    const backoff = new Backoff({ initialMs: STATUS_RETRY_INITIAL_MS, maxMs: STATUS_RETRY_MAX_MS });
    while (!this.#closing.signal.aborted && (this.#mayLook || this.#waiting.size > 0)) {
      try {
        await this.#writeOnce(writer);
        backoff.reset();
      } catch (error) {
        this.#deps.logger.warn("objects not brought about; trying again", {
          why: describeError(error),
        });
        const options = { signal: this.#closing.signal, ref: false };
        await sleep(backoff.next(), undefined, options).catch(() => undefined);
      }
    }
  }

  async #writeOnce(writer: OwnedObjectsWriter): Promise<void> {
    if (this.#mayLook) {
      await writer.keepOnly(new Set(this.#owners));
      this.#unknown = false;
    }
    for (const [owner, each] of this.#waiting) {
      await writer.apply(owner, each.objects);
      if (this.#waiting.get(owner) !== each) continue;
      this.#waiting.delete(owner);
      this.#deps.logger.info("objects brought about", { owner, objects: each.objects.length });
    }
  }
}
