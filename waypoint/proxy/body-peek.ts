/** A stage that waits for the beginning of a request's body. */
import type { PeekedBody } from "../filter/stage.ts";

export class BodyPeek {
  readonly body: Promise<PeekedBody>;
  readonly #maxBytes: number;
  readonly #settle: PromiseWithResolvers<PeekedBody>;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#settle = Promise.withResolvers<PeekedBody>();
    this.body = this.#settle.promise;
    // Whoever asked may have been refused for another reason, and wait no more.
    this.body.catch(() => undefined);
  }

  /** Whether more of it is wanted. */
  hasMore(chunks: readonly Uint8Array[], bytes: number): boolean {
    if (bytes <= this.#maxBytes) return true;
    const beginning = Buffer.concat(chunks).subarray(0, this.#maxBytes);
    this.#settle.resolve({ bytes: beginning, complete: false });
    return false;
  }

  hasAll(chunks: readonly Uint8Array[]): void {
    this.#settle.resolve({ bytes: Buffer.concat(chunks), complete: true });
  }

  /** The client has gone, or has its answer. */
  isGone(): void {
    this.#settle.reject(new Error("the request is over"));
  }
}
