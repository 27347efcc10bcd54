/** The response to the client: sent once, and what was sent is remembered for the log. */
import type { LocalReply, RequestContext } from "../filter/stage.ts";
import type { ExchangeErrorCode, ServerExchange } from "../http/exchange.ts";
import type { HeaderList } from "../http/header-list.ts";
import type { BodyLength, ResponseHead } from "../http/message.ts";
import { parseGrpcStatus } from "./grpc-status.ts";
import { INFORMATIONAL_RESPONSES } from "./limits.ts";
import { renderLocalReply } from "./local-reply.ts";

export class ClientResponse {
  /** 0 before there is one. */
  status = 0;
  bytes = 0;
  grpcStatus: number | undefined;
  headers: HeaderList | undefined;
  /** All of it has been handed over. */
  ended = false;
  readonly #exchange: ServerExchange;
  readonly #extra: HeaderList;
  #informed = 0;

  /** `extra` is set on whatever head is sent. */
  constructor(exchange: ServerExchange, extra: HeaderList) {
    this.#exchange = exchange;
    this.#extra = extra;
  }

  get started(): boolean {
    return this.status !== 0;
  }

  /** HTTP/1.0 knows no informational responses (RFC 9110 15.2). */
  inform(head: ResponseHead): void {
    if (this.started || this.#exchange.request.version === "1.0") return;
    if (++this.#informed <= INFORMATIONAL_RESPONSES) this.#exchange.inform(head);
  }

  respond(head: ResponseHead, length: BodyLength): void {
    for (const [name, value] of this.#extra.entries()) {
      // Cookies stand beside each other; of everything else the waypoint's word counts.
      if (name === "set-cookie") head.headers.append(name, value);
      else head.headers.set(name, value);
    }
    this.status = head.status;
    this.headers = head.headers;
    this.grpcStatus = parseGrpcStatus(head.headers.get("grpc-status"));
    this.#exchange.respond(head, length);
  }

  write(chunk: Uint8Array): boolean {
    this.bytes += chunk.length;
    return this.#exchange.write(chunk);
  }

  end(trailers: HeaderList | undefined): void {
    if (this.ended) return;
    this.ended = true;
    this.grpcStatus = parseGrpcStatus(trailers?.get("grpc-status")) ?? this.grpcStatus;
    this.#exchange.end(trailers);
  }

  reply(reply: LocalReply, context: RequestContext): void {
    const { head, length, body } = renderLocalReply(reply, context);
    this.respond(head, length);
    if (body !== undefined) this.write(body);
    this.end(undefined);
  }

  reset(code: ExchangeErrorCode): void {
    this.#exchange.reset(code);
  }
}
