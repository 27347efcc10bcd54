/** Whether connections may pass, and go on to pass when policies have changed. */
import { type ConnectionFailure, failure } from "#common/transport/failure.ts";
import type { Permits } from "../filter/ext-authz/check-connection.ts";
import type { CallContext } from "../filter/service-caller.ts";
import { REAUTHORIZATIONS_ASKED, REAUTHORIZE_SLICE } from "../limits.ts";

/** A connection that is decided about. */
export interface Judged extends CallContext {
  readonly permits: Permits;
}

/** Undefined: it may pass. */
type Verdict = ConnectionFailure | undefined;
/** Of a connection that somebody else is to decide about. Never rejects. */
export type AskVerdict = () => Promise<Verdict>;
export type AuthorizeConnection = (connection: Judged) => Verdict | AskVerdict;

/** A connection that is being carried. */
export interface StandingConnection {
  readonly judged: () => Judged;
  readonly cut: (why: ConnectionFailure) => void;
}

/** Istio ztunnel's words. */
const POLICY_CHANGED = "connection closed due to policy change";

/**
 * Judges standing connections anew, some in each turn of the event loop. Those that an authorizer
 * is to be asked about stand until it has answered; only so many are asked about at a time, and
 * nobody else waits for that.
 */
export class Reauthorizer {
  readonly #authorize: AuthorizeConnection;
  readonly #standing = new Set<StandingConnection>();
  /** Of those, the ones that are to be looked at; a further change begins again. */
  #waiting: Iterator<StandingConnection> | undefined;
  /** What is to be asked about them; the latest of each counts. */
  readonly #unasked = new Map<StandingConnection, AskVerdict>();
  #asking = 0;

  constructor(authorize: AuthorizeConnection) {
    this.#authorize = authorize;
  }

  add(connection: StandingConnection): void {
    this.#standing.add(connection);
  }

  delete(connection: StandingConnection): void {
    this.#standing.delete(connection);
    this.#unasked.delete(connection);
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
      this.#judge(next.value);
    }
    setImmediate(() => this.#slice());
  }

  #judge(connection: StandingConnection): void {
    const verdict = this.#authorize(connection.judged());
    this.#unasked.delete(connection);
    if (typeof verdict !== "function") {
      cutIfDenied(connection, verdict);
      return;
    }
    this.#unasked.set(connection, verdict);
    this.#askNext();
  }

  #askNext(): void {
    for (const [connection, ask] of this.#unasked) {
      if (this.#asking >= REAUTHORIZATIONS_ASKED) return;
      this.#unasked.delete(connection);
      this.#asking++;
      void ask().then((verdict) => {
        this.#asking--;
        if (this.#standing.has(connection)) cutIfDenied(connection, verdict);
        this.#askNext();
      });
    }
  }
}

function cutIfDenied(connection: StandingConnection, denied: Verdict): void {
  if (denied === undefined) return;
  connection.cut(failure("policy-changed", `${POLICY_CHANGED}: ${denied.message}`));
}
