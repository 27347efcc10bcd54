/**
 * Writes what the registry says about policies into their status, or an Event where none has a
 * place. Each object has at most one write in progress and one waiting, the newest; a write that
 * fails is tried again until it succeeds or is overtaken. What was written last is not written
 * again, so that our own write, coming back as a change of the object, ends there. Of several
 * replicas the leader writes; the others know what they would write when they come to lead.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Backoff } from "#common/runtime/backoff.ts";
import { describeError } from "#common/runtime/errors.ts";
import { Semaphore } from "#common/runtime/semaphore.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { ALWAYS_LEADING, type Leadership } from "../config/leadership.ts";
import { isHeldBack, type NewCondition, type StatusWriter } from "../config/source.ts";
import { STATUS_RETRY_INITIAL_MS, STATUS_RETRY_MAX_MS, STATUS_WRITES_AT_ONCE } from "../limits.ts";
import { WAYPOINT_ACCEPTED, ZTUNNEL_ACCEPTED } from "../registry/policies/index.ts";
import type { ObjectStatus } from "../registry/registry-update.ts";
import { WAYPOINT_BOUND } from "../registry/waypoints/names.ts";

export interface PolicyStatusDeps {
  readonly writer: Pick<
    StatusWriter,
    "setConditions" | "setAddresses" | "setStatusFields" | "recordEvent"
  >;
  readonly logger: Logger;
  /** By default there is nobody else. */
  readonly leadership?: Leadership;
}

export class PolicyStatusController {
  readonly #deps: PolicyStatusDeps;
  readonly #leadership: Leadership;
  readonly #places = new Semaphore(STATUS_WRITES_AT_ONCE);
  /** By object: what its status should say. */
  readonly #wanted = new Map<string, ObjectStatus>();
  readonly #waiting = new Map<string, ObjectStatus>();
  readonly #writing = new Map<string, Promise<void>>();
  /** By object: what was written last. */
  readonly #written = new Map<string, string>();
  readonly #closing = new AbortController();

  constructor(deps: PolicyStatusDeps) {
    this.#deps = deps;
    this.#leadership = deps.leadership ?? ALWAYS_LEADING;
    this.#leadership.onChange((isLeader) => this.#leads(isLeader));
  }

  /** Takes the statuses of a registry update; of one object the newest counts. */
  write(statuses: readonly ObjectStatus[]): void {
    for (const status of statuses) this.#wanted.set(keyOf(status), status);
    if (this.#leadership.isLeader) this.#enqueue(statuses);
  }

  #enqueue(statuses: Iterable<ObjectStatus>): void {
    for (const status of statuses) {
      const key = keyOf(status);
      this.#waiting.set(key, status);
      if (this.#writing.has(key) || this.#closing.signal.aborted) continue;
      const done = this.#writeAll(key).finally(() => this.#writing.delete(key));
      this.#writing.set(key, done);
    }
  }

  /** Another leader may have written something else in the meantime. */
  #leads(isLeader: boolean): void {
    this.#waiting.clear();
    this.#written.clear();
    if (isLeader) this.#enqueue(this.#wanted.values());
  }

  /**
   * Forgets an object that is gone (`<kind>/<namespace>/<name>`), so that one that comes back under
   * its name is written afresh.
   */
  forget(key: string): void {
    this.#wanted.delete(key);
    this.#waiting.delete(key);
    this.#written.delete(key);
  }

  /** Tries nothing again; resolves when the writes in progress are done. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#writing.values());
  }

  async #writeAll(key: string): Promise<void> {
    const backoff = new Backoff({ initialMs: STATUS_RETRY_INITIAL_MS, maxMs: STATUS_RETRY_MAX_MS });
    for (;;) {
      const status = this.#waiting.get(key);
      if (status === undefined) break;
      this.#waiting.delete(key);
      if (await this.#places.run(() => this.#writeOne(key, status))) {
        backoff.reset();
        continue;
      }
      if (this.#closing.signal.aborted || !this.#leadership.isLeader) break;
      if (!this.#waiting.has(key)) this.#waiting.set(key, status);
      const options = { signal: this.#closing.signal, ref: false };
      await sleep(backoff.next(), undefined, options).catch(() => this.#waiting.delete(key));
    }
  }

  async #writeOne(key: string, status: ObjectStatus): Promise<boolean> {
    const { kind, namespace, name, generation } = status;
    const conditions = status.conditions.map(newCondition);
    const { warnings, addresses, fields } = status;
    const content = JSON.stringify([generation, conditions, warnings, addresses, fields]);
    if (this.#written.get(key) === content) return true;
    const { writer, logger } = this.#deps;
    const object = { kind, namespace, name };
    try {
      if (addresses !== undefined) await writer.setAddresses(object, addresses);
      if (fields !== undefined) await writer.setStatusFields(object, fields, generation);
      const obsolete = obsoleteTypes(status);
      if (conditions.length + obsolete.length > 0) {
        await writer.setConditions(object, conditions, generation, obsolete);
      }
      for (const message of warnings) {
        logger.warn("object is not in force as it is written", { object: key, why: message });
        await writer.recordEvent(object, { type: "Warning", reason: "NotEnforced", message });
      }
      this.#written.set(key, content);
      return true;
    } catch (error) {
      const why = describeError(error);
      if (!isHeldBack(error)) logger.warn("status not written; trying again", { key, why });
      return false;
    }
  }
}

function keyOf(object: Pick<ObjectStatus, "kind" | "namespace" | "name">): string {
  return `${object.kind}/${object.namespace}/${object.name}`;
}

/** Objects of these kinds may have a waypoint. */
const BOUND_KINDS: ReadonlySet<string> = new Set(["Service", "ServiceEntry", "WorkloadEntry"]);

/** A policy is ztunnel's or a waypoint's, and may change from the one to the other. */
function obsoleteTypes({ kind, conditions }: ObjectStatus): readonly string[] {
  const current = conditions.map(({ type }) => type);
  const own = kind === "AuthorizationPolicy" ? [ZTUNNEL_ACCEPTED, WAYPOINT_ACCEPTED] : [];
  const all = BOUND_KINDS.has(kind) ? [...own, WAYPOINT_BOUND] : own;
  return all.filter((type) => !current.includes(type));
}

function newCondition(condition: ObjectStatus["conditions"][number]): NewCondition {
  const { type, status, reason, message } = condition;
  return {
    type,
    status,
    ...(reason !== undefined && { reason }),
    ...(message !== undefined && { message }),
  };
}
