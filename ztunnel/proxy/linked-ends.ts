/**
 * Two ends with nothing in between: what is written to one is delivered by the other, in the same
 * turn and without a copy. It joins the two relays of a connection whose pods share a ztunnel.
 */
import type { End, EndEvents } from "#common/transport/end.ts";

interface Piece {
  readonly chunk: Uint8Array;
  readonly release: (() => void) | undefined;
}

/** Both ends of a link. Each holds what comes before its `start`. */
export function linkedEnds(): readonly [End, End] {
  const a = new LinkedEnd();
  const b = new LinkedEnd();
  a.join(b);
  b.join(a);
  return [a, b];
}

class LinkedEnd implements End {
  bytesRead = 0;
  #peer: LinkedEnd = this;
  #events: EndEvents | undefined;
  /** What the reader has not taken; the writer was told to wait, so it stays a chunk or two. */
  readonly #held: Piece[] = [];
  #reading = false;
  /** Told to wait, and owed a drain. */
  #blocked = false;
  /** The peer has sent all it had. */
  #finished = false;
  /** The end was told to the reader. */
  #ended = false;
  #closed = false;

  join(peer: LinkedEnd): void {
    this.#peer = peer;
  }

  start(events: EndEvents): void {
    this.#events = events;
    if (this.#closed) setImmediate(() => events.onClosed(resetByPeer()));
    else this.resume();
  }

  write(chunk: Uint8Array, release: (() => void) | undefined): boolean {
    if (this.#closed) {
      release?.();
      return false;
    }
    this.#blocked = !this.#peer.#take({ chunk, release });
    return !this.#blocked;
  }

  shutdown(): void {
    if (!this.#closed) this.#peer.#finish();
  }

  resume(): void {
    if (this.#events === undefined || this.#closed || this.#reading) return;
    this.#reading = true;
    while (this.#reading) {
      const piece = this.#held.shift();
      if (piece === undefined) break;
      this.#reading = this.#deliver(piece);
    }
    if (this.#reading) this.#peer.#drained();
    this.#endIfDone();
  }

  /** Nothing can be lost in between: the peer is told when this end goes. */
  probe(): void {
    return;
  }

  reset(): void {
    if (this.#closed) return;
    const peer = this.#peer;
    this.#close(new Error("connection closed"));
    peer.#close(resetByPeer());
  }

  #take(piece: Piece): boolean {
    if (!this.#reading) {
      this.#held.push(piece);
      return false;
    }
    this.#reading = this.#deliver(piece);
    return this.#reading;
  }

  #deliver({ chunk, release }: Piece): boolean {
    this.bytesRead += chunk.length;
    return this.#events?.onData(chunk, release) ?? false;
  }

  #finish(): void {
    this.#finished = true;
    this.#endIfDone();
  }

  #drained(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.#events?.onDrain();
  }

  #endIfDone(): void {
    if (!this.#finished || this.#ended || this.#held.length > 0) return;
    if (this.#events === undefined || this.#closed) return;
    this.#ended = true;
    this.#events.onEnd();
    const peer = this.#peer;
    if (!peer.#ended) return;
    peer.#close(undefined);
    this.#close(undefined);
  }

  #close(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reading = false;
    for (const { release } of this.#held.splice(0)) release?.();
    const events = this.#events;
    // Not in the turn of whoever closes: a relay hears of both its ends one after the other.
    if (events !== undefined) setImmediate(() => events.onClosed(error));
  }
}

function resetByPeer(): Error {
  return Object.assign(new Error("reset by the peer"), { code: "ECONNRESET" });
}
