/**
 * Gathers writes over one round of the event loop: a stream is corked at its first chunk and
 * uncorked in
 * `setImmediate`, after the poll phase, so that everything one round of epoll brought leaves in one
 * writev. (`nextTick` would run after every native callback and batch nothing: performance.md C.)
 */
import type { Writable } from "node:stream";

export class FlushBatcher {
  #corked: Writable[] = [];
  readonly #flush = (): void => {
    const corked = this.#corked;
    this.#corked = [];
    for (const stream of corked) stream.uncork();
  };

  /** Corks the stream until this round ends; a stream that already is corked is left alone. */
  cork(stream: Writable): void {
    if (stream.writableCorked > 0 || stream.writableEnded) return;
    stream.cork();
    if (this.#corked.push(stream) === 1) setImmediate(this.#flush);
  }
}
