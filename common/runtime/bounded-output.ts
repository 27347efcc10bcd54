/**
 * Output to somebody who may not read: what waits is bounded. A pipe that nobody empties must
 * neither stop the process nor fill its memory.
 */

export interface BoundedOutputDeps {
  readonly write: (text: string) => void;
  /** Bytes that were written and have not left. */
  readonly waitingBytes: () => number;
  /** Beyond it, what may be left out is. Beyond twice as much, everything. */
  readonly maxBytes: number;
  /** Called with how many pieces were left out. */
  readonly onDropped: (count: number) => void;
}

export class BoundedOutput {
  readonly #deps: BoundedOutputDeps;

  constructor(deps: BoundedOutputDeps) {
    this.#deps = deps;
  }

  /** What should be there: a program's own log. */
  write(text: string): void {
    this.#write(text, 1, 2 * this.#deps.maxBytes);
  }

  /** What goes first where there is no room: `count` lines of an access log. */
  writeOptional(text: string, count: number): void {
    this.#write(text, count, this.#deps.maxBytes);
  }

  #write(text: string, count: number, maxBytes: number): void {
    const { write, waitingBytes, onDropped } = this.#deps;
    if (waitingBytes() < maxBytes) write(text);
    else onDropped(count);
  }
}
