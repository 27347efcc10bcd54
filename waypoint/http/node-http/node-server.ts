/**
 * HTTP/1.1 towards a client on node:http: what the engines of libraries serve with. Heads are
 * judged as the engine llhttp judges them, as far as node:http lets see them. It does not show:
 * more than one space or an empty line around the request line, and how chunks were written
 * (which the upstream never sees: they are written anew). An upgrade is served as if it had not
 * been asked for, and ends the connection.
 */
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { EndDuplex } from "#common/transport/end-duplex.ts";
import type { CodecLimits, ServerConnection, ServerHandlers, Wire } from "../engine.ts";
import { ExchangeError, type ExchangeErrorCode } from "../exchange.ts";
import { Deadline, type Deadlined } from "../h1/deadlines.ts";
import { judgeRequest, type Refusal } from "../h1/request-head.ts";
import { refusalText } from "../h1/write-head.ts";
import { DRAIN_IDLE_MS, LINGER_MS } from "../limits.ts";
import { GatedEnd } from "./gated-end.ts";
import { PARSED_AHEAD } from "./limits.ts";
import { NodeServerExchange } from "./node-server-exchange.ts";

export function serveNodeHttp(
  wire: Wire,
  limits: CodecLimits,
  handlers: ServerHandlers,
): ServerConnection {
  return new NodeServerConnection(new GatedEnd(wire.asEnd()), limits, handlers);
}

interface Parsed {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** `lingering`: we have ended it, the client has not yet. */
type Phase = "open" | "lingering" | "closed";

export class NodeServerConnection implements ServerConnection, Deadlined {
  readonly duplex: EndDuplex;
  readonly #gate: GatedEnd;
  readonly #limits: CodecLimits;
  readonly #handlers: ServerHandlers;
  readonly #deadline: Deadline;
  readonly #waiting: Parsed[] = [];
  #exchange: NodeServerExchange | undefined;
  #phase: Phase = "open";
  #inHead = false;
  #inputEnded = false;
  #requests = 0;
  #draining = false;
  /** What follows was not read as requests. */
  #sealed = false;
  #fault: Error | undefined;
  #cut: ExchangeError | undefined;

  constructor(end: GatedEnd, limits: CodecLimits, handlers: ServerHandlers) {
    const duplex = new EndDuplex(end);
    this.duplex = duplex;
    this.#gate = end;
    this.#limits = limits;
    this.#handlers = handlers;
    this.#deadline = new Deadline(this);
    this.#deadline.set(limits.idleTimeoutMs);
    duplex.once("close", () => this.#closed());
    duplex.on("error", (error) => {
      this.#cut ??= new ExchangeError("reset", error.message);
    });
    this.#createServer().emit("connection", duplex);
    duplex.prependListener("data", () => this.#dataCame());
    duplex.once("end", () => {
      this.#inputEnded = true;
      this.checkInputEnd();
    });
  }

  /** What follows from the client's end, if it has come. */
  checkInputEnd(): void {
    if (!this.#inputEnded) return;
    if (this.#exchange === undefined) this.#finish();
    else if (this.#exchange.abandoned) this.cut(new ExchangeError("reset", "the client left"));
  }

  drain(): void {
    this.#draining = true;
    this.#exchange?.announceLast();
    const idle = this.#exchange === undefined && !this.#inHead && this.#phase === "open";
    if (idle) this.#deadline.set(DRAIN_IDLE_MS);
  }

  destroy(): void {
    this.cut(new ExchangeError("reset", "the connection was closed"));
  }

  /** Resets the connection; the exchange hears of `why`. */
  cut(why: ExchangeError): void {
    this.#cut ??= why;
    this.duplex.destroy();
  }

  onDeadline(): void {
    const exchange = this.#exchange;
    if (this.#phase === "lingering") this.cut(new ExchangeError("timeout", "the client lingers"));
    else if (exchange?.blocked) this.cut(new ExchangeError("timeout", "the client reads nothing"));
    else if (exchange !== undefined) this.fail(BODY_OVERDUE, "timeout");
    else if (this.#inHead) this.fail(HEAD_OVERDUE, "timeout");
    else this.#finish();
  }

  /** Sets the deadline that the state of the exchange asks for. */
  watch(): void {
    if (this.#phase !== "open" || this.#exchange === undefined) return;
    if (this.#exchange.waits) this.#deadline.set(this.#limits.bodyTimeoutMs);
    else this.#deadline.clear();
  }

  /** Whether the response that begins now is the last on this connection. */
  get last(): boolean {
    const spent = this.#requests >= this.#limits.requestsPerConnection;
    const none = this.#waiting.length === 0;
    return this.#draining || spent || (none && (this.#inputEnded || this.#sealed));
  }

  /** Answers by itself where there is no answer yet, and closes. */
  fail({ status, message }: Refusal, code: ExchangeErrorCode): void {
    const exchange = this.#exchange;
    const why = new ExchangeError(code, message);
    this.#fault ??= why;
    if (exchange?.responded || this.#phase !== "open") {
      this.cut(why);
      return;
    }
    this.#exchange = undefined;
    this.duplex.write(refusalText(status, message), "latin1");
    this.#finish();
    exchange?.closed(why);
  }

  /** The response is complete. `last`: so was the connection said to be. */
  completed(exchange: NodeServerExchange, last: boolean): void {
    if (this.#exchange !== exchange) return;
    this.#exchange = undefined;
    exchange.closed(undefined);
    if (this.#phase !== "open") return;
    if (last || !exchange.received) this.#finish();
    else this.#next();
  }

  #createServer(): http.Server {
    const server = http.createServer({
      maxHeaderSize: this.#limits.headerBytes,
      requireHostHeader: false,
      keepAliveTimeout: 0,
      requestTimeout: 0,
      headersTimeout: 0,
      insecureHTTPParser: false,
      shouldUpgradeCallback: () => false,
    });
    // One more than allowed: what node:http left out of sight could frame the message.
    server.maxHeadersCount = this.#limits.headerCount + 1;
    // Not in Node's types: a client that has sent all may still read.
    Object.assign(server, { httpAllowHalfOpen: true });
    const take = (request: IncomingMessage, response: ServerResponse) =>
      this.#take({ request, response });
    server.on("request", take);
    server.on("checkContinue", take);
    server.on("checkExpectation", take);
    server.on("connect", () => this.fail(NO_CONNECT, "protocol"));
    server.on("clientError", (error) => this.#clientError(error));
    return server;
  }

  #dataCame(): void {
    if (this.#exchange !== undefined || this.#inHead || this.#phase !== "open") return;
    this.#inHead = true;
    this.#deadline.set(this.#limits.headersTimeoutMs);
  }

  #take(parsed: Parsed): void {
    this.#inHead = false;
    if (this.#phase !== "open" || this.#sealed) return;
    // Node's parser stops behind an offer to upgrade, and loses what it had read by then.
    if (parsed.request.headers.upgrade !== undefined) this.#sealed = true;
    this.#waiting.push(parsed);
    if (this.#waiting.length > PARSED_AHEAD) {
      this.cut(new ExchangeError("limit", "too many requests at once"));
    } else if (this.#exchange === undefined) this.#next();
    else this.#gate.hold();
  }

  #next(): void {
    const parsed = this.#waiting.shift();
    if (this.#waiting.length === 0) this.#gate.letGo();
    if (parsed !== undefined) this.#serve(parsed);
    else if (this.#inputEnded) this.#finish();
    else this.#deadline.set(this.#draining ? DRAIN_IDLE_MS : this.#limits.idleTimeoutMs);
  }

  #serve({ request, response }: Parsed): void {
    const { method = "", url: target = "", httpVersionMinor: minor } = request;
    const judged =
      request.httpVersionMajor === 1 && minor <= 1
        ? judgeRequest({ method, target, minor }, request.rawHeaders, this.#limits.headerCount)
        : NO_VERSION;
    if ("status" in judged) {
      this.fail(judged, "protocol");
      return;
    }
    this.#requests++;
    this.#deadline.clear();
    this.#exchange = new NodeServerExchange(this, { request, response, judged });
    this.#handlers.onExchange(this.#exchange);
  }

  #clientError(error: Error & { code?: string }): void {
    this.#fault ??= error;
    const refusal = REFUSALS[error.code ?? ""] ?? { status: 400, message: "this is not HTTP" };
    // What came before it is answered, and is the last that is.
    if (this.#exchange?.received === true) {
      this.#draining = true;
      this.#exchange.announceLast();
    } else this.fail(refusal, refusal.status === 431 ? "limit" : "protocol");
  }

  /** Ends our direction, and waits a while for the client to end its own. */
  #finish(): void {
    if (this.#phase !== "open") return;
    this.#phase = "lingering";
    this.#deadline.set(LINGER_MS);
    this.duplex.end();
    this.#gate.letGo();
    this.duplex.resume();
  }

  #closed(): void {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    this.#deadline.close();
    this.#waiting.length = 0;
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.closed(this.#cut ?? new ExchangeError("reset", "the client left"));
    this.#handlers.onClosed(this.#fault);
  }
}

const HEAD_OVERDUE: Refusal = { status: 408, message: "the request's header took too long" };
const BODY_OVERDUE: Refusal = { status: 408, message: "the request's body took too long" };
const NO_CONNECT: Refusal = { status: 405, message: "CONNECT is not served here" };
const NO_VERSION: Refusal = { status: 400, message: "no HTTP/1.1 request line" };
const REFUSALS: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: { status: 431, message: "the request's header is too large" },
};
