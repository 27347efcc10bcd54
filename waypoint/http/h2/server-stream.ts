/** One request of a client and our response to it. */
import type { ExchangeErrorCode, ServerExchange, ServerExchangeEvents } from "../exchange.ts";
import { Deadline, type Deadlined } from "../h1/deadlines.ts";
import type { HeaderList } from "../header-list.ts";
import type { BodyLength, RequestHead, ResponseHead } from "../message.ts";
import type { H2Connection } from "./connection.ts";
import { responseToBlock } from "./h2-head.ts";
import { READ_PROGRESS_BYTES } from "./limits.ts";
import { H2Stream } from "./stream.ts";

export interface IncomingRequest {
  readonly head: RequestHead;
  readonly length: BodyLength;
}

export class H2ServerStream extends H2Stream implements ServerExchange, Deadlined {
  readonly request: RequestHead;
  readonly body: BodyLength;
  readonly #connection: H2Connection;
  readonly #bodyTimeoutMs: number;
  #deadline: Deadline | undefined;
  #responded = false;
  /** Bytes that have left since the deadline was set. */
  #progress = 0;

  constructor(connection: H2Connection, { head, length }: IncomingRequest, bodyTimeoutMs: number) {
    super(connection);
    this.request = head;
    this.body = length;
    this.#connection = connection;
    this.#bodyTimeoutMs = bodyTimeoutMs;
  }

  override start(events: ServerExchangeEvents): void {
    super.start(events);
    this.watch();
  }

  override receive(piece: Buffer): void {
    super.receive(piece);
    this.watch();
  }

  inform({ status, headers }: ResponseHead): void {
    if (this.isMute || this.#responded || status < 100 || status > 199 || status === 101) return;
    const flat = responseToBlock({ status, headers }, UNKNOWN);
    this.#connection.sendHeaders(this, flat, false);
  }

  respond(head: ResponseHead, length: BodyLength): void {
    if (this.isMute || this.#responded) return;
    this.#responded = true;
    if (head.status < 200) {
      // HTTP/2 does not switch protocols, and the others are not for here.
      this.reset("protocol");
      return;
    }
    const ends = length.kind === "none" || this.request.method === "HEAD";
    this.#connection.sendHeaders(this, responseToBlock(head, length), ends);
  }

  override write(chunk: Uint8Array): boolean {
    if (!this.#responded) return !this.isMute;
    const waited = this.queue.length > 0;
    const more = super.write(chunk);
    if (!waited || !this.remoteEnded) this.watch();
    return more;
  }

  override end(trailers?: HeaderList): void {
    if (this.#responded) super.end(trailers);
  }

  reset(code: ExchangeErrorCode = "reset"): void {
    this.#connection.reset(this, code, "reset by the waypoint");
  }

  override onSent(bytes: number): void {
    this.#progress += bytes;
    if (this.#progress >= READ_PROGRESS_BYTES || this.queue.length === 0) this.watch();
    super.onSent(bytes);
  }

  override watch(): void {
    const expects = !this.remoteEnded && !this.paused;
    if (!this.isMute && (expects || this.queue.length > 0)) {
      this.#progress = 0;
      this.#deadline ??= new Deadline(this);
      this.#deadline.set(this.#bodyTimeoutMs);
    } else this.#deadline?.clear();
  }

  onDeadline(): void {
    const unread = this.queue.length > 0;
    const why = unread ? "the client reads nothing" : "no body for too long";
    this.#connection.reset(this, "timeout", why);
  }

  protected override onOver(): void {
    this.#deadline?.close();
  }
}

const UNKNOWN: BodyLength = { kind: "unknown" };
