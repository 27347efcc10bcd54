/**
 * Where the bytes of plain TCP sockets are read into. A connection starts on one buffer shared by
 * the whole worker (its bytes are copied out at once) and, when it has proved busy, gets 256 KiB
 * slabs of its own from a bounded pool, whose bytes are written on without a copy.
 */
import {
  READ_SCRATCH_BYTES,
  SLAB_BYTES,
  SLAB_MIN_READ_BYTES,
  SLAB_THRESHOLD_BYTES,
  SLABS_PER_CONNECTION,
  SLABS_PER_WORKER,
} from "../limits.ts";

interface Slab {
  readonly bytes: Uint8Array;
  /** Writes in flight that still refer to this slab. */
  references: number;
  used: number;
}

/**
 * All slabs of one worker: at most `SLABS_PER_WORKER`; beyond it connections stay on the shared
 * buffer.
 */
export class SlabPool {
  readonly scratch = Buffer.allocUnsafeSlow(READ_SCRATCH_BYTES);
  readonly #free: Slab[] = [];
  #made = 0;

  take(): Slab | undefined {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#made === SLABS_PER_WORKER) return undefined;
    this.#made++;
    return { bytes: Buffer.allocUnsafeSlow(SLAB_BYTES), references: 0, used: 0 };
  }

  give(slab: Slab): void {
    slab.used = 0;
    this.#free.push(slab);
  }
}

/** The bytes of one read; `release`, where present, must be called once when they are written. */
export interface ReadResult {
  readonly chunk: Uint8Array;
  readonly release: (() => void) | undefined;
}

/** The read buffers of one connection. */
export class ReadBuffers {
  readonly #pool: SlabPool;
  readonly #onRoom: () => void;
  #moved = 0;
  #current: Slab | undefined;
  #held = 0;
  #closed = false;
  #starved = false;

  /** `onRoom` is called when a slab came back after `hasRoom()` was false. */
  constructor(pool: SlabPool, onRoom: () => void) {
    this.#pool = pool;
    this.#onRoom = onRoom;
  }

  /** The buffer for the next read. */
  next(): Uint8Array {
    const slab = this.#current ?? this.#acquire();
    if (slab === undefined) return this.#pool.scratch;
    return slab.bytes.subarray(slab.used);
  }

  /** Takes over what was read into the buffer that `next()` gave. */
  accept(byteCount: number, buffer: Uint8Array): ReadResult {
    this.#moved += byteCount;
    const slab = this.#current;
    if (slab === undefined || buffer === this.#pool.scratch) {
      return { chunk: Buffer.from(buffer.subarray(0, byteCount)), release: undefined };
    }
    slab.used += byteCount;
    slab.references++;
    if (slab.bytes.length - slab.used < SLAB_MIN_READ_BYTES) this.#current = undefined;
    return { chunk: buffer.subarray(0, byteCount), release: () => this.#release(slab) };
  }

  /** False when all slabs of this connection are in flight: stop reading until `onRoom`. */
  hasRoom(): boolean {
    this.#starved = this.#current === undefined && this.#held >= SLABS_PER_CONNECTION;
    return !this.#starved;
  }

  /** Gives back what is not in flight; the rest comes back with its last write. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const slab = this.#current;
    this.#current = undefined;
    if (slab?.references === 0) this.#pool.give(slab);
  }

  #acquire(): Slab | undefined {
    if (this.#closed || this.#moved < SLAB_THRESHOLD_BYTES) return undefined;
    if (this.#held >= SLABS_PER_CONNECTION) return undefined;
    this.#current = this.#pool.take();
    if (this.#current !== undefined) this.#held++;
    return this.#current;
  }

  #release(slab: Slab): void {
    slab.references--;
    // The socket may already hold the rest of the current slab as its next buffer: it stays as it
    // is.
    if (slab.references > 0 || (slab === this.#current && !this.#closed)) return;
    this.#held--;
    this.#pool.give(slab);
    if (this.#starved && !this.#closed) this.#onRoom();
  }
}
