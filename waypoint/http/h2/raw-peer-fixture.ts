/** For tests: our HTTP/2 server, and a client that sends whatever frames it likes. */
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { frame, headerBlock, number32, TYPE } from "#test/support/h2-frames.ts";
import type { CodecLimits, ServerConnection } from "../engine.ts";
import type { ExchangeError, ServerExchange, ServerExchangeEvents } from "../exchange.ts";
import { HeaderList } from "../header-list.ts";
import { RELAY_LIMITS, wireOf } from "../relay-fixture.ts";
import { http2Codec } from "./h2-codec.ts";

export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
export const EMPTY = Buffer.alloc(0);
export const PADDED = 0x8;
export const ACK = 0x1;

const FRAME_HEADER_BYTES = 9;
const PATIENCE_MS = 10_000;

export const GET = headerBlock([
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "a"],
]);
export const POST = headerBlock([
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "a"],
]);

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** Settings by identifier. */
export function settings(...pairs: readonly (readonly [number, number])[]): Buffer {
  const payload = pairs.map(([id, value]) => Buffer.concat([Buffer.of(0, id), number32(value)]));
  return frame(TYPE.settings, 0, 0, Buffer.concat(payload));
}

/** A server with one handler for all exchanges. */
export class RawServer {
  readonly connections: ServerConnection[] = [];
  readonly closings: (Error | undefined)[] = [];
  onExchange: (exchange: ServerExchange) => void = answer;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();

  private constructor(limits: Partial<CodecLimits>) {
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      const connection = http2Codec.serve(
        wireOf(socket),
        { ...RELAY_LIMITS, ...limits },
        {
          onExchange: (exchange) => this.onExchange(exchange),
          onClosed: (error) => this.closings.push(error),
        },
      );
      this.connections.push(connection);
    });
  }

  static async start(limits: Partial<CodecLimits> = {}): Promise<RawServer> {
    const server = new RawServer(limits);
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Our ends of the connections. */
  get sockets(): readonly net.Socket[] {
    return [...this.#sockets];
  }

  /** A client that has said hello. */
  async connect(hello: Buffer = settings()): Promise<RawPeer> {
    const socket = net.connect({ port: this.port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    return new RawPeer(socket, Buffer.concat([PREFACE, hello]));
  }
}

/** Answers when all of the request has come, and remembers nothing. */
export function answer(exchange: ServerExchange): void {
  exchange.start(
    listener({
      onEnd: () => exchange.respond({ status: 200, headers: new HeaderList() }, { kind: "none" }),
    }),
  );
}

export function listener(events: Partial<ServerExchangeEvents>): ServerExchangeEvents {
  return {
    onData: () => true,
    onEnd: () => undefined,
    onDrain: () => undefined,
    onClosed: (_error: ExchangeError | undefined) => undefined,
    ...events,
  };
}

export class RawPeer {
  readonly frames: Frame[] = [];
  readonly socket: net.Socket;
  closed = false;
  #received: Buffer = EMPTY;
  #skipped: number;

  /** `preface`: bytes that are no frames and come first. */
  constructor(socket: net.Socket, hello: Buffer, preface = 0) {
    this.socket = socket;
    this.#skipped = preface;
    socket.on("error", () => undefined);
    socket.once("close", () => {
      this.closed = true;
    });
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.write(hello);
  }

  send(...frames: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  of(type: number, stream?: number): readonly Frame[] {
    return this.frames.filter((f) => f.type === type && (stream ?? f.stream) === f.stream);
  }

  /** Bytes of DATA that have come. */
  bytes(stream?: number): number {
    return this.of(TYPE.data, stream).reduce((sum, { payload }) => sum + payload.length, 0);
  }

  /** The error code of GOAWAY, undefined where the connection ended without. */
  async goaway(): Promise<number | undefined> {
    await this.until(() => this.closed || this.of(TYPE.goaway).length > 0);
    return this.of(TYPE.goaway)[0]?.payload.readUInt32BE(4);
  }

  /** The error code of the stream's RST_STREAM. */
  async reset(stream: number): Promise<number | undefined> {
    await this.until(() => this.closed || this.of(TYPE.resetStream, stream).length > 0);
    return this.of(TYPE.resetStream, stream)[0]?.payload.readUInt32BE(0);
  }

  /** Resolves when everything that was sent before has been read and answered. */
  async settled(): Promise<void> {
    const before = this.of(TYPE.ping).length;
    this.send(frame(TYPE.ping, 0, 0, Buffer.alloc(8, before)));
    await this.until(() => this.of(TYPE.ping).length > before);
  }

  async until(holds: () => boolean): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!holds()) {
      if (Date.now() > deadline) throw new Error(`it does not hold that ${holds}`);
      await sleep(2);
    }
  }

  #read(chunk: Buffer): void {
    const skip = Math.min(this.#skipped, chunk.length);
    this.#skipped -= skip;
    this.#received = Buffer.concat([this.#received, chunk.subarray(skip)]);
    for (;;) {
      const bytes = this.#received;
      if (bytes.length < FRAME_HEADER_BYTES) return;
      const end = FRAME_HEADER_BYTES + bytes.readUIntBE(0, 3);
      if (bytes.length < end) return;
      this.frames.push({
        type: bytes[3] ?? 0,
        flags: bytes[4] ?? 0,
        stream: bytes.readUInt32BE(5) & 0x7fff_ffff,
        payload: bytes.subarray(FRAME_HEADER_BYTES, end),
      });
      this.#received = bytes.subarray(end);
    }
  }
}
