/**
 * Bounded waits for state that is about to arrive: a pod's own record, the policies that it names.
 * Nothing is decided without them, and nothing waits for ever.
 */

import type { ProxyState, WorkloadPolicies } from "#common/mesh-state/proxy-state.ts";
import type { Workload } from "#common/model/workload.ts";
import { type ConnectionFailure, failure } from "#common/transport/failure.ts";
import {
  LOCAL_WORKLOAD_WAIT_MS,
  POLICY_WAIT_MS,
  STATE_CHECKS_PER_SLICE,
  STATE_WAITERS,
} from "../limits.ts";

/** Without a promise where nothing has to be waited for: most connections never wait. */
export type Awaitable<Value> = Value | Promise<Value>;

export class StateWaiter {
  readonly #state: Pick<ProxyState, "findWorkloadByUid" | "policiesFor">;
  readonly #schedule: (slice: () => void) => void;
  readonly #checks = new Set<() => void>();
  /** What the pass under way has yet to look at; undefined between passes. */
  #pass: (() => void)[] | undefined;
  #changedSince = false;

  /** `schedule` runs a function in a later turn of the event loop. @default setImmediate */
  constructor(
    state: Pick<ProxyState, "findWorkloadByUid" | "policiesFor">,
    schedule: (slice: () => void) => void = (slice) => void setImmediate(slice),
  ) {
    this.#state = state;
    this.#schedule = schedule;
  }

  /**
   * To be called after each change of the state. Those who wait are looked at in slices: a crowd
   * that is let go at once must not stop the event loop.
   */
  stateChanged(): void {
    if (this.#checks.size === 0) return;
    if (this.#pass !== undefined) this.#changedSince = true;
    else this.#startPass();
  }

  /** The record of a pod on this node. */
  localWorkload(uid: string): Awaitable<Workload | ConnectionFailure> {
    const known = this.#state.findWorkloadByUid(uid);
    if (known !== undefined) return usable(uid, known);
    const found = this.#until(() => this.#state.findWorkloadByUid(uid), LOCAL_WORKLOAD_WAIT_MS);
    if (!(found instanceof Promise)) return usable(uid, found);
    return found.then((workload) => usable(uid, workload));
  }

  /** The policies of a workload as they are known now, complete or not. */
  policiesNow(workload: Workload): WorkloadPolicies {
    return this.#state.policiesFor(workload);
  }

  /** The policies of a workload, once all that it names are here: until then nobody is let in. */
  policiesOf(workload: Workload): Awaitable<WorkloadPolicies | ConnectionFailure> {
    const now = this.#state.policiesFor(workload);
    return now.missing.length === 0 ? now : this.#awaitPolicies(workload);
  }

  async #awaitPolicies(workload: Workload): Promise<WorkloadPolicies | ConnectionFailure> {
    const policies = await this.#until(() => {
      const now = this.#state.policiesFor(workload);
      return now.missing.length === 0 ? now : undefined;
    }, POLICY_WAIT_MS);
    if (policies !== undefined) return policies;
    const { missing } = this.#state.policiesFor(workload);
    const named = missing.slice(0, 5).join(", ");
    const message = `policies of ${workload.uid} have not arrived or cannot be read: ${named}`;
    return failure("policies-not-ready", message);
  }

  /** Synchronous in effect where the value is there: most connections never wait. */
  #until<Value>(look: () => Value | undefined, timeoutMs: number): Awaitable<Value | undefined> {
    const now = look();
    if (now !== undefined || this.#checks.size >= STATE_WAITERS) return now;
    return new Promise((resolve) => {
      const finish = (value: Value | undefined): void => {
        clearTimeout(timer);
        this.#checks.delete(check);
        resolve(value);
      };
      const check = (): void => {
        const value = look();
        if (value !== undefined) finish(value);
      };
      const timer = setTimeout(() => finish(undefined), timeoutMs);
      this.#checks.add(check);
    });
  }

  #startPass(): void {
    this.#changedSince = false;
    this.#pass = [...this.#checks].reverse();
    this.#slice();
  }

  #slice(): void {
    const pass = this.#pass ?? [];
    for (let i = 0; i < STATE_CHECKS_PER_SLICE; i++) {
      const check = pass.pop();
      // Whoever gave up meanwhile is not asked any more.
      if (check !== undefined && this.#checks.has(check)) check();
    }
    if (pass.length > 0) {
      this.#schedule(() => this.#slice());
      return;
    }
    this.#pass = undefined;
    if (this.#changedSince && this.#checks.size > 0) this.#schedule(() => this.#startPass());
  }
}

function usable(uid: string, workload: Workload | undefined): Workload | ConnectionFailure {
  if (workload?.unusable !== undefined) {
    return failure("unknown-source", `${uid} is not served: ${workload.unusable}`);
  }
  return (
    workload ??
    failure("unknown-source", `failed to fetch information about local workload: ${uid}`)
  );
}
