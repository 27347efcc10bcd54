/** How the streams ended that ended last: what may still come of them depends on it. */
import { REMEMBERED_STREAMS } from "./limits.ts";

/**
 * `ended`: both sides had said all. `reset`: the peer reset it. Undefined: we did, and what the
 * peer sent before it knew is ignored; or it is long ago.
 */
export type StreamEnd = "ended" | "reset" | undefined;

export class ClosedStreams {
  readonly #ids: number[] = [];
  readonly #ends: StreamEnd[] = [];
  #next = 0;

  add(id: number, end: StreamEnd): void {
    this.#ids[this.#next] = id;
    this.#ends[this.#next] = end;
    this.#next = (this.#next + 1) % REMEMBERED_STREAMS;
  }

  endOf(id: number): StreamEnd {
    const at = this.#ids.indexOf(id);
    return at < 0 ? undefined : this.#ends[at];
  }
}
