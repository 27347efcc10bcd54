/** HTTP/2 towards a client: prior knowledge, no push. */
import http2, { type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { FlushBatcher } from "#common/transport/flush-batcher.ts";
import type { CodecLimits, ServerConnection, ServerHandlers, Wire } from "../engine.ts";
import type { ExchangeErrorCode, ServerExchange, ServerExchangeEvents } from "../exchange.ts";
import type { HeaderList } from "../header-list.ts";
import type { BodyLength, RequestHead, ResponseHead } from "../message.ts";
import { H2Body } from "./h2-body.ts";
import { bodyLength, mayHaveTrailers, requestFromBlock, responseToBlock } from "./h2-head.ts";
import { h2SessionOptions } from "./h2-settings.ts";

export function serveHttp2(
  wire: Wire,
  limits: CodecLimits,
  handlers: ServerHandlers,
): ServerConnection {
  return new H2ServerConnection(wire, limits, handlers);
}

class H2ServerConnection implements ServerConnection {
  readonly #session: ServerHttp2Session;
  readonly #limits: CodecLimits;
  readonly #batcher = new FlushBatcher();
  #requests = 0;
  #error: Error | undefined;

  constructor(wire: Wire, limits: CodecLimits, { onExchange, onClosed }: ServerHandlers) {
    const duplex = wire.asDuplex();
    this.#limits = limits;
    this.#session = http2.performServerHandshake(duplex, h2SessionOptions(limits));
    const session = this.#session;
    session.on("stream", (stream, _headers, flags, rawHeaders) => {
      const exchange = this.#exchange(stream, flags, rawHeaders);
      if (exchange !== undefined) onExchange(exchange);
    });
    session.on("error", (error) => {
      this.#error = error;
    });
    session.setTimeout(limits.idleTimeoutMs, () => session.close());
    duplex.on("error", (error: Error) => {
      this.#error ??= error;
    });
    session.once("close", () => {
      duplex.destroy();
      onClosed(this.#error);
    });
    duplex.once("close", () => session.destroy());
  }

  drain(): void {
    if (!this.#session.destroyed) this.#session.close();
  }

  destroy(): void {
    this.#session.destroy();
  }

  #exchange(
    stream: ServerHttp2Stream,
    flags: number,
    rawHeaders: readonly string[],
  ): ServerExchange | undefined {
    this.#requests++;
    if (this.#requests >= this.#limits.requestsPerConnection) this.drain();
    const request = requestFromBlock(rawHeaders);
    const body = new H2Body(stream, this.#batcher);
    if (!("malformed" in request)) {
      const length = bodyLength(rawHeaders, flags);
      const { bodyTimeoutMs } = this.#limits;
      return new H2ServerExchange(stream, request, { body, length, bodyTimeoutMs });
    }
    const reply = [":status", "400", "content-type", "text/plain"];
    stream.respond(reply, { endStream: false });
    stream.end(`${request.malformed}\n`);
    stream.resume();
    return undefined;
  }
}

interface Incoming {
  readonly body: H2Body;
  readonly length: BodyLength;
  readonly bodyTimeoutMs: number;
}

class H2ServerExchange implements ServerExchange {
  readonly request: RequestHead;
  readonly body: BodyLength;
  readonly #stream: ServerHttp2Stream;
  readonly #body: H2Body;
  readonly #bodyTimeoutMs: number;
  /** A client that reads nothing is being waited for. */
  #watched = false;

  constructor(stream: ServerHttp2Stream, request: RequestHead, incoming: Incoming) {
    const { body, length, bodyTimeoutMs } = incoming;
    this.request = request;
    this.body = length;
    this.#stream = stream;
    this.#body = body;
    this.#bodyTimeoutMs = bodyTimeoutMs;
    stream.on("timeout", () => this.#overdue());
    if (length.kind === "none") stream.resume();
    else stream.setTimeout(bodyTimeoutMs);
  }

  /** Neither side's bytes went on for so long; what waits for the upstream may. */
  #overdue(): void {
    const stream = this.#stream;
    const unread = stream.writableNeedDrain || (stream.writableEnded && !stream.writableFinished);
    if (unread) this.#body.cut("timeout", "the client reads nothing");
    else if (this.body.kind !== "none" && !stream.readableEnded) {
      this.#body.cut("timeout", "no body for too long");
    }
  }

  #watchReader(): void {
    if (this.#watched || this.#stream.destroyed) return;
    this.#watched = true;
    this.#stream.setTimeout(this.#bodyTimeoutMs);
  }

  start(events: ServerExchangeEvents): void {
    this.#body.start(events);
  }

  resume(): void {
    this.#body.resume();
  }

  inform({ status, headers }: ResponseHead): void {
    if (this.#stream.headersSent || this.#stream.destroyed) return;
    const flat = responseToBlock({ status, headers }, { kind: "unknown" });
    this.#stream.additionalHeaders(recordOf(flat));
  }

  respond(head: ResponseHead, length: BodyLength): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    const endStream = length.kind === "none" || this.request.method === "HEAD";
    stream.respond(responseToBlock(head, length), {
      endStream,
      waitForTrailers: !endStream && mayHaveTrailers(head.headers, length),
    });
    if (endStream) this.#refuseRest();
  }

  write(chunk: Uint8Array): boolean {
    const more = this.#body.write(chunk);
    if (!more) this.#watchReader();
    return more;
  }

  end(trailers?: HeaderList): void {
    this.#body.end(trailers);
    if (this.#stream.writableLength > 0) this.#watchReader();
    this.#refuseRest();
  }

  reset(code: ExchangeErrorCode = "reset"): void {
    this.#body.cut(code, "reset by the waypoint");
  }

  #refuseRest(): void {
    if (this.body.kind !== "none") this.#body.refuseRest();
  }
}

/** Informational responses are sent from an object; their names hardly ever repeat. */
function recordOf(flat: readonly string[]): Record<string, string> {
  const record: Record<string, string> = Object.create(null);
  for (let i = 0; i < flat.length; i += 2) record[flat[i] ?? ""] = flat[i + 1] ?? "";
  return record;
}
