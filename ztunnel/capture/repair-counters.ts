/**
 * The figures of a node's capture; how often what was lost and put back, of all pods and of each.
 */
import type { PodRepairs, RepairReason } from "#common/model/captured-pod.ts";
import type { Problem } from "./pod-rules.ts";

export interface CaptureCounters {
  /** Pods whose rules and listeners are in place. */
  readonly captured: number;
  /** Pods that are wanted and not captured yet. */
  readonly pending: number;
  /** Times that something lost was put back, by what it was, since the start. */
  readonly repairs: ReadonlyMap<RepairReason, number>;
  /** Connections ended because they were opened while a pod's rules were lost. */
  readonly endedConnections: number;
  /** Attempts that failed, since the start. */
  readonly failures: number;
}

export class RepairCounters {
  readonly #byReason = new Map<RepairReason, number>();
  #endedConnections = 0;

  get byReason(): ReadonlyMap<RepairReason, number> {
    return this.#byReason;
  }

  get endedConnections(): number {
    return this.#endedConnections;
  }

  count(reason: RepairReason): void {
    this.#byReason.set(reason, (this.#byReason.get(reason) ?? 0) + 1);
  }

  /** One repair of a pod, whatever it was that had to be put back; returns the pod's new record. */
  countOfPod(
    before: PodRepairs | undefined,
    mended: readonly Problem[],
    endedConnections: number,
  ): PodRepairs {
    for (const { reason } of mended) this.count(reason);
    this.#endedConnections += endedConnections;
    const last = mended.map(({ reason, found }) => `${reason}: ${found}`).join("; ");
    return { count: (before?.count ?? 0) + 1, last };
  }
}
