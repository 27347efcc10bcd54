/** The current `WaypointState`, and the changes on their way to it. */
import type { WaypointResource } from "#common/model/waypoint/resource.ts";
import { type WaypointChange, WaypointState } from "./waypoint-state.ts";

/** What has to be done before a change is in force. Must not reject. */
export type Prepare = (resources: Iterable<WaypointResource>) => Promise<void>;

export class WaypointStore {
  #current = WaypointState.EMPTY;
  readonly #prepare: Prepare | undefined;
  readonly #listeners = new Set<(state: WaypointState) => void>();
  /** Resolves with the last change that is on its way; undefined where none is. */
  #pending: Promise<void> | undefined;

  constructor(prepare?: Prepare) {
    this.#prepare = prepare;
  }

  get current(): WaypointState {
    return this.#current;
  }

  /** In force when it is prepared and all before it are: in the order of the calls. */
  apply(change: WaypointChange): void {
    const prepare = this.#prepare;
    if (prepare === undefined) {
      this.#swap(change);
      return;
    }
    const mine: Promise<void> = this.whenApplied()
      .then(() => prepare(change.upserts.map(({ value }) => value)))
      .then(() => {
        this.#swap(change);
        if (this.#pending === mine) this.#pending = undefined;
      });
    this.#pending = mine;
  }

  /** Resolves when the changes of all calls until now are in force. */
  whenApplied(): Promise<void> {
    return this.#pending ?? Promise.resolve();
  }

  /** Calls the listener after each change; the returned function ends that. */
  onChange(listener: (state: WaypointState) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #swap(change: WaypointChange): void {
    this.#current = this.#current.with(change);
    for (const listener of this.#listeners) listener(this.#current);
  }
}
