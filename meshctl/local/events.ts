/** What happens in a cluster, as lines for people. */
import { EVENTS_KEPT } from "./limits.ts";

export interface ClusterEvent {
  /**
   * `progress`: a step of the start. `ready`: the start is over. `change`: something is different
   * now.
   * `problem`: something is wrong. `fatal`: the cluster cannot go on.
   */
  readonly kind: "progress" | "ready" | "change" | "problem" | "fatal";
  readonly text: string;
  /** The next thing to type or look at. */
  readonly hint?: string;
}

/** Keeps the latest events and passes each new one on. */
export class EventLog {
  readonly #kept: ClusterEvent[] = [];
  readonly #listeners = new Set<(event: ClusterEvent) => void>();

  get kept(): readonly ClusterEvent[] {
    return this.#kept;
  }

  emit(event: ClusterEvent): void {
    this.#kept.push(event);
    if (this.#kept.length > EVENTS_KEPT) this.#kept.shift();
    for (const listener of this.#listeners) listener(event);
  }

  listen(listener: (event: ClusterEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
