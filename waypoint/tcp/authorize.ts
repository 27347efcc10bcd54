/** Whether connections may pass, and go on to pass when policies have changed. */
import type { ConnectionFailure } from "#common/transport/failure.ts";
import type { Downstream } from "../filter/stage.ts";
import { REAUTHORIZE_SLICE } from "../limits.ts";

/** Undefined lets the connection pass. */
export type AuthorizeConnection = (downstream: Downstream) => ConnectionFailure | undefined;

/** A connection that is being carried. */
export interface StandingConnection {
  readonly current: () => Downstream;
  readonly cut: (why: string) => void;
}

/** Istio ztunnel's words. */
const POLICY_CHANGED = "connection closed due to policy change";

/** Judges standing connections anew, some in each turn of the event loop. */
export class Reauthorizer {
  readonly #authorize: AuthorizeConnection;
  readonly #standing = new Set<StandingConnection>();
  /** Of those, the ones that are to be looked at; a further change begins again. */
  #waiting: Iterator<StandingConnection> | undefined;

  constructor(authorize: AuthorizeConnection) {
    this.#authorize = authorize;
  }

  add(connection: StandingConnection): void {
    this.#standing.add(connection);
  }

  delete(connection: StandingConnection): void {
    this.#standing.delete(connection);
  }

  changed(): void {
    const scheduled = this.#waiting !== undefined;
    // A set's iterator takes in what is added, and passes over what is deleted meanwhile.
    this.#waiting = this.#standing.values();
    if (!scheduled) setImmediate(() => this.#slice());
  }

  #slice(): void {
    for (let i = 0; i < REAUTHORIZE_SLICE; i++) {
      const next = this.#waiting?.next();
      if (next === undefined || next.done === true) {
        this.#waiting = undefined;
        return;
      }
      const denied = this.#authorize(next.value.current());
      if (denied !== undefined) next.value.cut(`${POLICY_CHANGED}: ${denied.message}`);
    }
    setImmediate(() => this.#slice());
  }
}
