/**
 * Looks at established connections again when policies or their workload change, and closes those
 * that are no longer allowed (ambient.md F25). A change marks the workloads that it may concern;
 * their connections are judged in short slices between which the event loop turns, those first that
 * were judged longest ago. Changes in quick succession come to one pass under the newest.
 */
import type {
  AppliedChange,
  ProxyState,
  WorkloadPolicies,
} from "#common/mesh-state/proxy-state.ts";
import { policiesMayDiffer } from "#common/mesh-state/state-update.ts";
import type { ConnectionFailure } from "#common/transport/failure.ts";
import { REAUTHORIZE_SLICE, REAUTHORIZE_SLICE_MS } from "../limits.ts";
import { type Permit, revoked } from "./admit.ts";

/** A connection that stands because of a permit. */
export interface StandingConnection {
  readonly permit: Permit;
  readonly cut: (why: ConnectionFailure) => void;
}

export interface ReauthorizerDeps {
  readonly state: Pick<ProxyState, "findWorkloadByUid" | "policiesFor">;
  /** Runs a slice in a later turn of the event loop. @default setImmediate */
  readonly schedule?: (slice: () => void) => void;
  /** Milliseconds. @default performance.now */
  readonly now?: () => number;
}

/** The connections to one workload. */
interface Standing {
  /** The workload's policies when it was marked last, or when the first connection came. */
  policies: WorkloadPolicies;
  /** How often it was marked. */
  epoch: number;
  /**
   * The epoch that each was judged in, in that order: whoever is judged goes to the end, so that
   * the first one that is up to date is followed by none that is not.
   */
  readonly connections: Map<StandingConnection, number>;
}

export class Reauthorizer {
  readonly #state: ReauthorizerDeps["state"];
  readonly #schedule: (slice: () => void) => void;
  readonly #now: () => number;
  readonly #byWorkload = new Map<string, Standing>();
  readonly #marked = new Set<string>();
  #scheduled = false;

  constructor({ state, schedule, now }: ReauthorizerDeps) {
    this.#state = state;
    this.#schedule = schedule ?? ((slice) => void setImmediate(slice));
    this.#now = now ?? (() => performance.now());
  }

  /** Takes a connection in; one whose policies changed while it was set up is judged at once. */
  add(connection: StandingConnection): void {
    const { permit } = connection;
    const { uid } = permit.workload;
    const current = this.#policiesOf(uid) ?? permit.policies;
    const why = current === permit.policies ? undefined : revoked(permit, current);
    if (why !== undefined) {
      connection.cut(why);
      return;
    }
    const known = this.#byWorkload.get(uid);
    if (known !== undefined) known.connections.set(connection, known.epoch);
    else {
      const connections = new Map([[connection, 0]]);
      this.#byWorkload.set(uid, { policies: current, epoch: 0, connections });
    }
  }

  delete(connection: StandingConnection): void {
    const { uid } = connection.permit.workload;
    const standing = this.#byWorkload.get(uid);
    standing?.connections.delete(connection);
    if (standing?.connections.size !== 0) return;
    this.#byWorkload.delete(uid);
    this.#marked.delete(uid);
  }

  /** To be called after each change of the state; judges later. */
  stateChanged(change: AppliedChange): void {
    for (const [uid, standing] of this.#byWorkload) {
      const workload = this.#state.findWorkloadByUid(uid);
      if (workload === undefined || !policiesMayDiffer(change, workload)) continue;
      const policies = this.#state.policiesFor(workload);
      if (policies === standing.policies) continue;
      standing.policies = policies;
      standing.epoch++;
      this.#marked.add(uid);
    }
    this.#continue();
  }

  /** A workload whose record is gone keeps its connections until its pod goes. */
  #policiesOf(uid: string): WorkloadPolicies | undefined {
    const workload = this.#state.findWorkloadByUid(uid);
    return workload && this.#state.policiesFor(workload);
  }

  #continue(): void {
    if (this.#scheduled || this.#marked.size === 0) return;
    this.#scheduled = true;
    this.#schedule(() => {
      this.#scheduled = false;
      this.#slice();
      this.#continue();
    });
  }

  #slice(): void {
    const end = this.#now() + REAUTHORIZE_SLICE_MS;
    let left = REAUTHORIZE_SLICE;
    const more = (): boolean => left-- > 0 && this.#now() < end;
    for (const uid of this.#marked) {
      const standing = this.#byWorkload.get(uid);
      if (standing !== undefined && !judge(standing, more)) return;
      this.#marked.delete(uid);
    }
  }
}

/** Whether all of the connections are up to date now. */
function judge({ policies, epoch, connections }: Standing, more: () => boolean): boolean {
  for (const [connection, judgedIn] of connections) {
    if (judgedIn === epoch) return true;
    if (!more()) return false;
    connections.delete(connection);
    const why = revoked(connection.permit, policies);
    if (why === undefined) connections.set(connection, epoch);
    else connection.cut(why);
  }
  return true;
}
