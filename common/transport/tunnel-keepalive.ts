/**
 * Pings every HBONE session of a worker and drops those whose peer has stopped answering. One timer
 * for all; a stall of our own event loop does not count against a peer (answers that already
 * arrived are read before anything is dropped).
 */
import type { Http2Session } from "node:http2";
import { PING_INTERVAL_MS, PING_TIMEOUT_MS } from "./limits.ts";

export class TunnelKeepalive {
  readonly #sessions: () => Iterable<Http2Session>;
  /** When the unanswered ping of a session was sent. */
  readonly #unanswered = new WeakMap<Http2Session, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(sessions: () => Iterable<Http2Session>) {
    this.#sessions = sessions;
  }

  start(): void {
    this.#timer = setInterval(() => this.#tick(), PING_INTERVAL_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    for (const session of this.#sessions()) {
      const sentAt = this.#unanswered.get(session);
      if (sentAt === undefined) this.#ping(session);
      else if (performance.now() - sentAt >= PING_TIMEOUT_MS) this.#dropUnlessAnswered(session);
    }
  }

  #ping(session: Http2Session): void {
    if (session.destroyed) return;
    this.#unanswered.set(session, performance.now());
    // Node cancels the pings of a session that is closing (GOAWAY, streams still open): that is no
    // answer, but no silence of the peer's either. TCP's keepalive watches over those.
    session.ping(() => this.#unanswered.delete(session));
  }

  #dropUnlessAnswered(session: Http2Session): void {
    // After the next poll phase and its callbacks; only then is silence the peer's.
    setImmediate(() =>
      setImmediate(() => {
        if (this.#unanswered.has(session)) session.destroy();
      }),
    );
  }
}
