/**
 * Has what Gateways want to run brought about: one write at a time, of each owner the newest, tried
 * again until it succeeds, and again when somebody else changed it. Of several replicas the leader
 * writes.
 */

import { type ObjectChange, objectKey } from "#common/kubernetes/objects.ts";
import { Backoff } from "#common/runtime/backoff.ts";
import { describeError } from "#common/runtime/errors.ts";
import { pause } from "#common/runtime/pause.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { ALWAYS_LEADING, type Leadership } from "../config/leadership.ts";
import { isHeldBack, type OwnedObjectsWriter } from "../config/source.ts";
import { OWNED_RESYNC_MS, STATUS_RETRY_INITIAL_MS, STATUS_RETRY_MAX_MS } from "../limits.ts";
import type { OwnedObjects } from "../registry/registry-update.ts";

export interface OwnedObjectsDeps {
  /** Undefined where nobody runs anything for this control plane. */
  readonly writer: OwnedObjectsWriter | undefined;
  readonly logger: Logger;
  /** Whether all objects of the source are known: what one seems to be without may be lost. */
  readonly isWhole: () => boolean;
  /** By default there is nobody else. */
  readonly leadership?: Leadership;
}

export class OwnedObjectsController {
  readonly #deps: OwnedObjectsDeps;
  readonly #waiting = new Map<string, OwnedObjects>();
  /** What everybody wants who wants something now. */
  readonly #wanted = new Map<string, OwnedObjects>();
  /** The owners of wanted objects, by the object's key. */
  readonly #ownerOf = new Map<string, string>();
  /** Which version of a wanted object was seen, by its key; -1: that it is gone. */
  readonly #generations = new Map<string, number>();
  readonly #leadership: Leadership;
  /** Set until what an earlier process left behind has been looked at. */
  #unknown = true;
  #writing: Promise<void> | undefined;
  readonly #closing = new AbortController();
  readonly #resync: NodeJS.Timeout;

  constructor(deps: OwnedObjectsDeps) {
    this.#deps = deps;
    this.#leadership = deps.leadership ?? ALWAYS_LEADING;
    this.#leadership.onChange((isLeader) => this.#leads(isLeader));
    this.#resync = setInterval(() => this.#enqueue(this.#wanted.values()), OWNED_RESYNC_MS);
    this.#resync.unref();
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
    for (const each of owned) this.#know(each);
    this.#enqueue(owned);
  }

  /** Has what somebody deleted or changed brought about again. */
  repair(changes: readonly ObjectChange[]): void {
    for (const { key, object } of changes) {
      const owner = this.#ownerOf.get(key);
      const wanted = owner === undefined ? undefined : this.#wanted.get(owner);
      if (wanted === undefined) continue;
      // A status that changes is not a change of what was wanted.
      const generation = object?.metadata.generation ?? 0;
      if (object !== undefined && this.#generations.get(key) === generation) continue;
      this.#generations.set(key, object === undefined ? -1 : generation);
      this.#enqueue([wanted]);
    }
  }

  #know(owned: OwnedObjects): void {
    const { owner, objects } = owned;
    for (const object of this.#wanted.get(owner)?.objects ?? []) {
      this.#ownerOf.delete(objectKey(object));
      this.#generations.delete(objectKey(object));
    }
    if (objects.length > 0) this.#wanted.set(owner, owned);
    else this.#wanted.delete(owner);
    for (const object of objects) this.#ownerOf.set(objectKey(object), owner);
  }

  #enqueue(owned: Iterable<OwnedObjects>): void {
    const { writer } = this.#deps;
    if (writer === undefined || !this.#leadership.isLeader) return;
    for (const each of owned) this.#waiting.set(each.owner, each);
    if (this.#waiting.size === 0 && !this.#mayLook) return;
    this.#writing ??= this.#writeAll(writer).finally(() => {
      this.#writing = undefined;
    });
  }

  /** What went while another one led, that one may not have seen. */
  #leads(isLeader: boolean): void {
    this.#waiting.clear();
    this.#unknown = true;
    if (isLeader) this.#enqueue(this.#wanted.values());
  }

  /** Resolves when everything that was asked for is there. */
  async idle(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  /** Tries nothing again; resolves when the write in progress is done. */
  async close(): Promise<void> {
    this.#closing.abort();
    clearInterval(this.#resync);
    await this.#writing;
  }

  get #mayLook(): boolean {
    return this.#unknown && this.#deps.isWhole();
  }

  get #mayWrite(): boolean {
    return this.#leadership.isLeader && !this.#closing.signal.aborted;
  }

  async #writeAll(writer: OwnedObjectsWriter): Promise<void> {
    const backoff = new Backoff({ initialMs: STATUS_RETRY_INITIAL_MS, maxMs: STATUS_RETRY_MAX_MS });
    while (this.#mayWrite && (this.#mayLook || this.#waiting.size > 0)) {
      try {
        await this.#writeOnce(writer);
        backoff.reset();
      } catch (error) {
        const why = describeError(error);
        if (!isHeldBack(error)) {
          this.#deps.logger.warn("objects not brought about; trying again", { why });
        }
        await pause(backoff.next(), this.#closing.signal, { ref: false });
      }
    }
  }

  async #writeOnce(writer: OwnedObjectsWriter): Promise<void> {
    if (this.#mayLook) {
      await writer.keepOnly(new Set(this.#wanted.keys()));
      this.#unknown = false;
    }
    const failures: unknown[] = [];
    for (const [owner, each] of [...this.#waiting]) {
      if (!this.#mayWrite) return;
      try {
        await writer.apply(owner, each.objects);
      } catch (error) {
        // One that cannot be must not keep the others from being.
        failures.push(error);
        continue;
      }
      if (this.#waiting.get(owner) !== each) continue;
      this.#waiting.delete(owner);
      this.#deps.logger.debug("objects brought about", { owner, objects: each.objects.length });
    }
    const [failure] = failures;
    if (failure !== undefined) throw failure;
  }
}
