/** The current `WaypointState`, and those who want to know of the next. */
import { type WaypointChange, WaypointState } from "./waypoint-state.ts";

export class WaypointStore {
  #current = WaypointState.EMPTY;
  readonly #listeners = new Set<(state: WaypointState) => void>();

  get current(): WaypointState {
    return this.#current;
  }

  apply(change: WaypointChange): void {
    this.#current = this.#current.with(change);
    for (const listener of this.#listeners) listener(this.#current);
  }

  /** Calls the listener after each change; the returned function ends that. */
  onChange(listener: (state: WaypointState) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
