/**
 * One request and its response, seen from the client's side (`ServerExchange`: we are its server)
 * and from the upstream's (`ClientExchange`: we are its client). The codecs of HTTP/1.1 and HTTP/2
 * and every engine speak these; whoever relays between them knows no version.
 *
 * Flow control is the same everywhere: `onData` and `write` return false when the other side can
 * take no more; `resume` and `onDrain` go on. After `onClosed` nothing is called any more, and it
 * comes exactly once.
 */
import type { HeaderList } from "./header-list.ts";
import type { BodyLength, RequestHead, ResponseHead } from "./message.ts";

/** Why an exchange ended before its end. */
export class ExchangeError extends Error {
  readonly code: ExchangeErrorCode;

  constructor(code: ExchangeErrorCode, message: string) {
    super(message);
    this.name = "ExchangeError";
    this.code = code;
  }
}

/**
 * `not-sent`: the connection was closed before anything of this request left, or HTTP/2 refused the
 * stream: it may be tried again whatever it is. `reset`: it ended early. `protocol`: what came is
 * not HTTP. `limit`: more than a bound of ours allows. `timeout`: a deadline of ours.
 */
export type ExchangeErrorCode = "not-sent" | "reset" | "protocol" | "limit" | "timeout";

export interface ServerExchangeEvents {
  onData(chunk: Uint8Array): boolean;
  /** All of the body has come. */
  onEnd(trailers: HeaderList | undefined): void;
  onDrain(): void;
  /** Without an error: both messages were complete. Else the client is gone or was cut. */
  onClosed(error: ExchangeError | undefined): void;
}

export interface ServerExchange {
  readonly request: RequestHead;
  readonly body: BodyLength;
  /** Begins delivering the body. Before, nothing of it is read. */
  start(events: ServerExchangeEvents): void;
  resume(): void;
  /** 1xx other than 101. Codecs send 100 (Continue) themselves only through this. */
  inform(head: ResponseHead): void;
  /**
   * Exactly once. Codecs choose the framing: `length` where it is known, else chunked or stream
   * end. A 101 makes both directions raw bytes: `write` and `onData` from there on.
   */
  respond(head: ResponseHead, length: BodyLength): void;
  write(chunk: Uint8Array): boolean;
  end(trailers?: HeaderList): void;
  /** Cuts it so that the client sees an error, never a complete response. */
  reset(code?: ExchangeErrorCode): void;
}

export interface ClientExchangeEvents {
  onInformation(head: ResponseHead): void;
  onHead(head: ResponseHead, body: BodyLength): void;
  onData(chunk: Uint8Array): boolean;
  onEnd(trailers: HeaderList | undefined): void;
  onDrain(): void;
  /** Without an error: both messages were complete. */
  onClosed(error: ExchangeError | undefined): void;
}

/** Sent by `UpstreamConnection.request`; the body follows by `write` and `end`. */
export interface ClientExchange {
  write(chunk: Uint8Array): boolean;
  end(trailers?: HeaderList): void;
  resume(): void;
  /** The client is gone, or it took too long: nothing more is sent or wanted. */
  cancel(): void;
  /** Whether any byte of the request has left the process or may have. */
  readonly sent: boolean;
  /**
   * Whether any byte of a response has come, where the codec knows. A connection that had served
   * before and closes without one is the usual race with its upstream's idle timeout.
   */
  readonly answered?: boolean | undefined;
}
