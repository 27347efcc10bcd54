/** HTTP/2 towards an upstream: one session, many requests. */
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import { FlushBatcher } from "#common/transport/flush-batcher.ts";
import type { CodecLimits, UpstreamConnection, UpstreamHandlers, Wire } from "../engine.ts";
import { type ClientExchange, type ClientExchangeEvents, ExchangeError } from "../exchange.ts";
import type { HeaderList } from "../header-list.ts";
import type { BodyLength, RequestHead } from "../message.ts";
import { H2Body } from "./h2-body.ts";
import { bodyLength, mayHaveTrailers, requestToBlock, responseFromBlock } from "./h2-head.ts";
import { CONNECTION_WINDOW_BYTES, h2SessionOptions } from "./h2-settings.ts";

export function connectHttp2(
  wire: Wire,
  limits: CodecLimits,
  handlers: UpstreamHandlers,
): UpstreamConnection {
  return new H2UpstreamConnection(wire, limits, handlers);
}

class H2UpstreamConnection implements UpstreamConnection {
  readonly #session: ClientHttp2Session;
  readonly #limits: CodecLimits;
  readonly #handlers: UpstreamHandlers;
  readonly #batcher = new FlushBatcher();
  #requests = 0;
  #active = 0;
  #leaving = false;

  constructor(wire: Wire, limits: CodecLimits, handlers: UpstreamHandlers) {
    const duplex = wire.asDuplex();
    this.#limits = limits;
    this.#handlers = handlers;
    this.#session = http2.connect("http://upstream", {
      ...h2SessionOptions(limits),
      createConnection: () => duplex,
      peerMaxConcurrentStreams: limits.concurrentStreams,
    });
    const session = this.#session;
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    session.on("goaway", () => {
      this.#leaving = true;
    });
    session.on("error", () => session.destroy());
    duplex.on("error", () => session.destroy());
    session.once("close", () => {
      this.#leaving = true;
      duplex.destroy();
      handlers.onClosed();
    });
    duplex.once("close", () => session.destroy());
  }

  get capacity(): number {
    const theirs = this.#session.remoteSettings?.maxConcurrentStreams;
    return Math.min(this.#limits.concurrentStreams, theirs ?? this.#limits.concurrentStreams);
  }

  get active(): number {
    return this.#active;
  }

  get exhausted(): boolean {
    const { closed, destroyed } = this.#session;
    const spent = this.#requests >= this.#limits.requestsPerConnection;
    return this.#leaving || closed || destroyed || spent;
  }

  request(head: RequestHead, body: BodyLength, events: ClientExchangeEvents): ClientExchange {
    this.#requests++;
    this.#active++;
    const over = (): void => {
      this.#active--;
      this.#handlers.onIdle();
    };
    let stream: ClientHttp2Stream;
    try {
      stream = this.#session.request(requestToBlock(head, body), {
        endStream: body.kind === "none",
        waitForTrailers: mayHaveTrailers(head.headers, body),
      });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return new UnsentExchange(new ExchangeError("not-sent", why), events, over);
    }
    return new H2ClientExchange(stream, this.#batcher, events, over);
  }

  close(): void {
    this.#leaving = true;
    if (!this.#session.destroyed) this.#session.close();
  }

  destroy(): void {
    this.#leaving = true;
    this.#session.destroy();
  }
}

class H2ClientExchange implements ClientExchange {
  sent = true;
  readonly #body: H2Body;

  constructor(
    stream: ClientHttp2Stream,
    batcher: FlushBatcher,
    events: ClientExchangeEvents,
    over: () => void,
  ) {
    const body = new H2Body(stream, batcher);
    this.#body = body;
    let answered = false;
    stream.on("headers", (_headers, _flags, rawHeaders: string[]) => {
      events.onInformation(responseFromBlock(rawHeaders));
    });
    stream.on("response", (_headers, flags, rawHeaders) => {
      answered = true;
      events.onHead(responseFromBlock(rawHeaders), bodyLength(rawHeaders, flags));
    });
    body.start({
      onData: (chunk) => events.onData(chunk),
      onEnd: (trailers) => {
        if (answered) events.onEnd(trailers);
      },
      onDrain: () => events.onDrain(),
      onClosed: (error) => {
        if (error?.code === "not-sent") this.sent = false;
        over();
        events.onClosed(error ?? (answered ? undefined : UNANSWERED));
      },
    });
  }

  write(chunk: Uint8Array): boolean {
    return this.#body.write(chunk);
  }

  end(trailers?: HeaderList): void {
    this.#body.end(trailers);
  }

  resume(): void {
    this.#body.resume();
  }

  cancel(): void {
    this.#body.cut("timeout", "cancelled by the waypoint");
  }
}

const UNANSWERED = new ExchangeError("reset", "the stream ended without a response");

/** Of a connection that took no more requests. */
class UnsentExchange implements ClientExchange {
  readonly sent = false;

  constructor(error: ExchangeError, events: ClientExchangeEvents, over: () => void) {
    setImmediate(() => {
      over();
      events.onClosed(error);
    });
  }

  write(): boolean {
    return false;
  }

  end(): void {
    return;
  }

  resume(): void {
    return;
  }

  cancel(): void {
    return;
  }
}
