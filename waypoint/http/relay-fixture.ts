/**
 * The smallest proxy there is on an engine: each request goes to one upstream, over connections
 * that are used again. For the codec suite and the bench of engines.
 */
import { once } from "node:events";
import net from "node:net";
import { EndDuplex } from "#common/transport/end-duplex.ts";
import { FlushBatcher } from "#common/transport/flush-batcher.ts";
import { SocketEnd } from "#common/transport/socket-end.ts";
import type {
  CodecLimits,
  HttpCodec,
  ServerConnection,
  UpstreamConnection,
  Wire,
} from "./engine.ts";
import type { ClientExchange, ExchangeError, ServerExchange } from "./exchange.ts";
import { HeaderList } from "./header-list.ts";

/** What no test reaches unless it means to. */
export const RELAY_LIMITS: CodecLimits = {
  headerBytes: 16_384,
  headerCount: 100,
  headersTimeoutMs: 30_000,
  idleTimeoutMs: 60_000,
  bodyTimeoutMs: 30_000,
  requestsPerConnection: 1_000_000,
  pipelinedRequests: 16,
  concurrentStreams: 100,
};

const batcher = new FlushBatcher();

/** As the waypoint has it: what wants a stream gets one over an end. */
export function wireOf(socket: net.Socket): Wire {
  const asEnd = () => new SocketEnd(socket, batcher);
  return { asEnd, asDuplex: () => new EndDuplex(asEnd()) };
}

/** How the proxy saw one exchange end, on the client's side and the upstream's. */
export interface RelayedExchange {
  readonly exchange: ServerExchange;
  client?: ClientExchange;
  serverClosed?: { readonly error: ExchangeError | undefined };
  clientClosed?: { readonly error: ExchangeError | undefined };
}

export class RelayProxy {
  /** In the order in which they came. */
  readonly exchanges: RelayedExchange[] = [];
  readonly connections = new Set<ServerConnection>();
  /** How connections of clients ended. */
  readonly closings: (Error | undefined)[] = [];
  /** Takes an exchange in place of the relay. */
  handler: ((exchange: ServerExchange) => void) | undefined;
  readonly #codec: HttpCodec;
  readonly #limits: CodecLimits;
  readonly #server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
    this.#serve(socket),
  );
  readonly #idle: UpstreamConnection[] = [];
  readonly #sockets = new Set<net.Socket>();
  readonly #record: boolean;
  #upstreamPort = 0;

  constructor(codec: HttpCodec, limits: Partial<CodecLimits> = {}, record = true) {
    this.#codec = codec;
    this.#limits = { ...RELAY_LIMITS, ...limits };
    this.#record = record;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  /** Connections to the upstream that wait for a request. */
  get idle(): number {
    return this.#idle.length;
  }

  async listen(upstreamPort: number, port = 0): Promise<void> {
    this.#upstreamPort = upstreamPort;
    this.#server.listen({ port, host: "127.0.0.1" });
    await once(this.#server, "listening");
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: net.Socket): void {
    this.#keep(socket);
    const connection = this.#codec.serve(wireOf(socket), this.#limits, {
      onExchange: (exchange) => this.#take(exchange),
      onClosed: (error) => {
        this.connections.delete(connection);
        this.closings.push(error);
      },
    });
    this.connections.add(connection);
  }

  #take(exchange: ServerExchange): void {
    const record: RelayedExchange = { exchange };
    if (this.#record) this.exchanges.push(record);
    if (this.handler === undefined) this.#relay(record);
    else this.handler(exchange);
  }

  #relay(record: RelayedExchange): void {
    const idle = this.#idle.pop();
    if (idle !== undefined) relayExchange(record, idle);
    else this.#connect((connection) => relayExchange(record, connection), record.exchange);
  }

  #connect(use: (connection: UpstreamConnection) => void, exchange: ServerExchange): void {
    const socket = net.connect({
      port: this.#upstreamPort,
      host: "127.0.0.1",
      allowHalfOpen: true,
      noDelay: true,
    });
    this.#keep(socket);
    socket.once("error", () => {
      if (socket.connecting) respondEmpty(exchange, 503);
    });
    socket.once("connect", () => {
      const connection = this.#codec.connect(wireOf(socket), this.#limits, {
        onIdle: () => {
          if (!connection.exhausted) this.#idle.push(connection);
        },
        onClosed: () => {
          const at = this.#idle.indexOf(connection);
          if (at >= 0) this.#idle.splice(at, 1);
        },
      });
      use(connection);
    });
  }

  #keep(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    socket.on("error", () => this.#sockets.delete(socket));
  }
}

function respondEmpty(exchange: ServerExchange, status: number): void {
  exchange.respond({ status, headers: new HeaderList() }, { kind: "none" });
}

/** Both directions of one exchange. */
function relayExchange(record: RelayedExchange, connection: UpstreamConnection): void {
  const { exchange } = record;
  let answered = false;
  let over = false;
  const client = connection.request(exchange.request, exchange.body, {
    onInformation: (head) => exchange.inform(head),
    onHead: (head, body) => {
      answered = true;
      exchange.respond(head, body);
    },
    onData: (chunk) => exchange.write(chunk),
    onEnd: (trailers) => exchange.end(trailers),
    onDrain: () => exchange.resume(),
    onClosed: (error) => {
      record.clientClosed = { error };
      if (over || error === undefined) return;
      if (answered) exchange.reset();
      else respondEmpty(exchange, 502);
    },
  });
  record.client = client;
  exchange.start({
    onData: (chunk) => client.write(chunk),
    onEnd: (trailers) => client.end(trailers),
    onDrain: () => client.resume(),
    onClosed: (error) => {
      over = true;
      record.serverClosed = { error };
      if (error !== undefined) client.cancel();
    },
  });
}
