/**
 * A `Downstream` that follows the configuration: a change holds from the next request on, on
 * connections that are open already, too.
 */
import type { Downstream } from "../filter/stage.ts";
import type { WaypointState } from "../state/waypoint-state.ts";
import { type DownstreamContext, describeAgain } from "./downstream.ts";

export class LiveDownstream {
  readonly #context: DownstreamContext;
  readonly #onLost: () => void;
  #seen: WaypointState;
  #current: Downstream;

  /** `onLost`: what was asked for is not of this waypoint any more. */
  constructor(context: DownstreamContext, first: Downstream, onLost: () => void) {
    this.#context = context;
    this.#onLost = onLost;
    this.#seen = context.store.current;
    this.#current = first;
  }

  /** The last that was known serves while clients go elsewhere. */
  current(): Downstream {
    const now = this.#context.store.current;
    if (now === this.#seen) return this.#current;
    this.#seen = now;
    const next = describeAgain(this.#context, this.#current);
    if ("ok" in next) this.#onLost();
    else this.#current = next;
    return this.#current;
  }
}
