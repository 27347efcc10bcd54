/**
 * A connection to the first name server that takes one, from inside the pod's namespace. What was
 * to be sent before one did is kept for the next; once a connection stands, its end is the end.
 */
import type net from "node:net";
import type { IpAddress } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { ZTUNNEL_MARK } from "../proxy/dial.ts";
import { adoptDescriptor } from "../proxy/node-internals.ts";
import { FrameReader, frame } from "./frame-reader.ts";
import { DNS_CONNECT_TIMEOUT_MS, DNS_QUERY_TIMEOUT_MS, DNS_QUEUE_BYTES } from "./limits.ts";
import type { PodDnsContext } from "./pod-dns-context.ts";

export interface TcpUpstreamEvents {
  /** A whole message, as the server sent it. */
  readonly onMessage: (message: Buffer) => void;
  /**
   * No server took the connection, or the one that did has ended it. Called once, never at once.
   */
  readonly onEnd: () => void;
  /** `isFull` has become false. */
  readonly onDrain: () => void;
}

const DNS_PORT = 53;

export class TcpUpstream {
  readonly #context: PodDnsContext;
  readonly #events: TcpUpstreamEvents;
  readonly #untried: IpAddress[];
  readonly #answers = new FrameReader();
  /** Sent before a connection stood. */
  #early: Buffer[] = [];
  #earlyBytes = 0;
  #socket: net.Socket | undefined;
  #connected = false;
  #ended = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(context: PodDnsContext, servers: readonly IpAddress[], events: TcpUpstreamEvents) {
    this.#context = context;
    this.#events = events;
    this.#untried = [...servers];
    setImmediate(() => this.#connectNext());
  }

  /** Whether the server takes messages more slowly than they come. */
  get isFull(): boolean {
    const queued = this.#connected ? (this.#socket?.writableLength ?? 0) : this.#earlyBytes;
    return queued > DNS_QUEUE_BYTES;
  }

  send(message: Buffer): void {
    const bytes = frame(message);
    if (this.#connected) {
      this.#socket?.write(bytes);
      this.#expectAnswer();
    } else {
      this.#early.push(bytes);
      this.#earlyBytes += bytes.length;
    }
  }

  /** No more will be sent. */
  end(): void {
    if (this.#connected) this.#socket?.end();
    else this.destroy();
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    if (this.#connected) this.#socket?.resume();
  }

  destroy(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#socket?.destroy();
  }

  #connectNext(): void {
    clearTimeout(this.#timer);
    if (this.#ended) return;
    const server = this.#untried.shift();
    const socket = server && this.#open(server);
    if (socket === undefined) {
      if (server === undefined) this.#end();
      else this.#connectNext();
      return;
    }
    this.#socket = socket;
    socket.on("error", () => undefined);
    socket.once("connect", () => this.#established(socket));
    socket.once("close", () => this.#closed(socket));
    this.#timer = setTimeout(() => socket.destroy(), DNS_CONNECT_TIMEOUT_MS);
    socket.connect({ host: server, port: DNS_PORT });
  }

  #open(server: IpAddress): net.Socket | undefined {
    const { metrics, netns, syscalls } = this.#context;
    const family = server.includes(":") ? "ipv6" : "ipv4";
    try {
      return adoptDescriptor(
        syscalls.inNetns(netns, () => syscalls.openTcpSocket({ family, mark: ZTUNNEL_MARK })),
      );
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      metrics.limited("no-socket");
      return undefined;
    }
  }

  #established(socket: net.Socket): void {
    this.#connected = true;
    for (const bytes of this.#early) socket.write(bytes);
    this.#early = [];
    this.#expectAnswer();
    socket.on("drain", () => this.#events.onDrain());
    this.#events.onDrain();
    socket.on("data", (chunk: Buffer) => {
      clearTimeout(this.#timer);
      this.#answers.push(chunk);
      for (let message = this.#answers.next(); message !== undefined; ) {
        this.#events.onMessage(message);
        message = this.#answers.next();
      }
    });
  }

  #closed(socket: net.Socket): void {
    if (this.#socket !== socket || this.#ended) return;
    if (this.#connected) this.#end();
    else this.#connectNext();
  }

  /** A server that says nothing more is given up. */
  #expectAnswer(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#socket?.destroy(), DNS_QUERY_TIMEOUT_MS);
  }

  #end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#events.onEnd();
  }
}
