/** Whether a data worker takes one more connection. */
import type { LimitName } from "#common/telemetry/connection-record.ts";
import type { ConnectionTracker } from "./connection-tracker.ts";
import { CONNECTIONS_PER_POD, CONNECTIONS_PER_WORKER } from "./limits.ts";

export interface CapacityBounds {
  readonly connectionsPerWorker: number;
  readonly connectionsPerPod: number;
}

const BOUNDS: CapacityBounds = {
  connectionsPerWorker: CONNECTIONS_PER_WORKER,
  connectionsPerPod: CONNECTIONS_PER_POD,
};

export class Capacity {
  /** The process is about to be killed for its memory: what stands goes on, nothing is added. */
  memoryIsShort = false;
  readonly #tracker: Pick<ConnectionTracker, "load" | "sizeOf">;
  readonly #bounds: CapacityBounds;

  constructor(tracker: Pick<ConnectionTracker, "load" | "sizeOf">, bounds = BOUNDS) {
    this.#tracker = tracker;
    this.#bounds = bounds;
  }

  /** The bound that stands in the way of one more connection of this pod, if one does. */
  reached(podUid: string): LimitName | undefined {
    if (this.memoryIsShort) return "memory";
    const { connectionsPerWorker, connectionsPerPod } = this.#bounds;
    if (this.#tracker.load >= connectionsPerWorker) return "connections-per-worker";
    return this.#tracker.sizeOf(podUid) >= connectionsPerPod ? "connections-per-pod" : undefined;
  }
}
