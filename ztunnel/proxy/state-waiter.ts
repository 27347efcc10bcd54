/**
 * Bounded waits for state that is about to arrive: a pod's own record, the policies that it names.
 * Nothing is decided without them, and nothing waits for ever.
 */
import type { CompiledPolicies } from "#common/authorization/evaluate.ts";
import type { Workload } from "#common/model/workload.ts";
import type { ProxyState } from "#ztunnel/state/proxy-state.ts";
import { LOCAL_WORKLOAD_WAIT_MS, POLICY_WAIT_MS } from "../limits.ts";
import { type ConnectionFailure, failure } from "./failure.ts";

export class StateWaiter {
  readonly #state: ProxyState;
  readonly #checks = new Set<() => void>();

  constructor(state: ProxyState) {
    this.#state = state;
  }

  /** To be called after each change of the state. */
  stateChanged(): void {
    for (const check of [...this.#checks]) check();
  }

  /** The record of a pod on this node. */
  async localWorkload(uid: string): Promise<Workload | ConnectionFailure> {
    const workload = await this.#until(
      () => this.#state.findWorkloadByUid(uid),
      LOCAL_WORKLOAD_WAIT_MS,
    );
    return (
      workload ??
      failure("unknown-source", `failed to fetch information about local workload: ${uid}`)
    );
  }

  /** The policies of a workload, once all that it names are here: until then nobody is let in. */
  async policiesOf(workload: Workload): Promise<CompiledPolicies | ConnectionFailure> {
    const compiled = await this.#until(() => {
      const policies = this.#state.policiesFor(workload);
      return policies.missing.length === 0 ? policies.compiled : undefined;
    }, POLICY_WAIT_MS);
    if (compiled !== undefined) return compiled;
    const { missing } = this.#state.policiesFor(workload);
    return failure(
      "policies-not-ready",
      `policies named by ${workload.uid} have not arrived: ${missing.slice(0, 5).join(", ")}`,
    );
  }

  /** Synchronous in effect where the value is there: most connections never wait. */
  #until<Value>(
    look: () => Value | undefined,
    timeoutMs: number,
  ): Value | Promise<Value | undefined> {
    const now = look();
    if (now !== undefined) return now;
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
}
