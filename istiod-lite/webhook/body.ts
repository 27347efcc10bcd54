/** Reads the body of a request within bounds of its own and of all requests together. */
import type { IncomingMessage } from "node:http";
import { REVIEW_BYTES, REVIEWS_IN_FLIGHT_BYTES } from "./limits.ts";

export interface BodyBounds {
  readonly bodyBytes: number;
  readonly inFlightBytes: number;
}

/** Why a body was not read, as a status of HTTP. */
export type Unread = 413 | 503;

export class BodyReader {
  readonly #bounds: BodyBounds;
  #inFlight = 0;

  constructor(
    bounds: BodyBounds = { bodyBytes: REVIEW_BYTES, inFlightBytes: REVIEWS_IN_FLIGHT_BYTES },
  ) {
    this.#bounds = bounds;
  }

  /** The body as text, or the status to refuse it with. Rejects where the connection breaks. */
  async read(request: IncomingMessage): Promise<string | Unread> {
    const { bodyBytes, inFlightBytes } = this.#bounds;
    if (Number(request.headers["content-length"] ?? 0) > bodyBytes) return 413;
    const chunks: Buffer[] = [];
    let size = 0;
    try {
      // The connection stays, for the answer.
      const body = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
      for await (const chunk of body) {
        size += chunk.length;
        this.#inFlight += chunk.length;
        if (size > bodyBytes) return 413;
        if (this.#inFlight > inFlightBytes) return 503;
        chunks.push(chunk);
      }
      return Buffer.concat(chunks).toString("utf8");
    } finally {
      this.#inFlight -= size;
    }
  }
}
