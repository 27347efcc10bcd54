/**
 * One TCP connection of a pod to a name server: messages that the mesh answers are taken out of it,
 * all others go to the server on a connection of their own, and back, byte for byte. So whatever a
 * server has to say gets through: zone transfers in many messages, answers out of order.
 */
import type net from "node:net";
import type { IpAddress } from "#common/model/ip.ts";
import { SERVFAIL, writeError } from "./answer.ts";
import type { DnsLabels } from "./dns-metrics.ts";
import { FrameReader, frame } from "./frame-reader.ts";
import { DNS_CONNECTION_IDLE_MS, DNS_QUERIES_PER_CONNECTION, DNS_QUEUE_BYTES } from "./limits.ts";
import { readHeader } from "./message.ts";
import type { PodDnsContext } from "./pod-dns-context.ts";
import { decide, waitForSync } from "./responder.ts";
import { TcpUpstream } from "./upstream-tcp.ts";

interface Waiting {
  readonly query: Buffer;
  readonly labels: DnsLabels;
  readonly startedAt: number;
}

export class TcpSession {
  readonly #context: PodDnsContext;
  readonly #client: net.Socket;
  readonly #servers: readonly IpAddress[];
  readonly #queries = new FrameReader();
  /** Forwarded queries without an answer so far, by id; of two with one id the later. */
  readonly #waiting = new Map<number, Waiting>();
  #upstream: TcpUpstream | undefined;
  #ready = false;
  #clientEnded = false;

  /** `servers` in the order in which they are tried. The session owns the connection. */
  constructor(context: PodDnsContext, client: net.Socket, servers: readonly IpAddress[]) {
    this.#context = context;
    this.#client = client;
    this.#servers = servers;
    client.setNoDelay(true);
    client.setTimeout(DNS_CONNECTION_IDLE_MS, () => this.destroy());
    client.on("data", (chunk: Buffer) => {
      this.#queries.push(chunk);
      this.#work();
    });
    client.on("end", () => {
      this.#clientEnded = true;
      this.#work();
    });
    client.on("drain", () => {
      this.#upstream?.resume();
      this.#work();
    });
    client.on("error", () => this.destroy());
    client.on("close", () => this.destroy());
    void this.#start();
  }

  /** Whether nothing is under way. */
  get idle(): boolean {
    return this.#waiting.size === 0;
  }

  destroy(): void {
    this.#settleAll(false);
    this.#upstream?.destroy();
    this.#upstream = undefined;
    this.#client.destroy();
  }

  async #start(): Promise<void> {
    this.#ready = await waitForSync(this.#context);
    if (this.#ready) this.#work();
    else this.destroy();
  }

  /** Takes queries as long as there is room for their answers; reads on when there is. */
  #work(): void {
    if (!this.#ready || this.#client.destroyed) return;
    for (;;) {
      if (this.#isFull) {
        this.#client.pause();
        return;
      }
      const query = this.#queries.next();
      if (query === undefined) break;
      this.#take(query);
    }
    this.#client.resume();
    if (this.#clientEnded && this.#waiting.size === 0) this.#finish();
  }

  get #isFull(): boolean {
    return (
      this.#waiting.size >= DNS_QUERIES_PER_CONNECTION ||
      this.#client.writableLength > DNS_QUEUE_BYTES ||
      (this.#upstream?.isFull ?? false)
    );
  }

  #take(query: Buffer): void {
    const decision = decide(this.#context, query, "tcp");
    if (decision.kind === "discard") this.destroy();
    else if (decision.kind === "answer") this.#client.write(frame(decision.answer));
    else this.#forward(query, decision.labels);
  }

  #forward(query: Buffer, labels: DnsLabels): void {
    const { metrics, queries } = this.#context;
    const bound = queries.take();
    if (bound !== undefined) {
      metrics.limited(bound);
      this.#client.write(frame(writeError(query, SERVFAIL)));
      return;
    }
    const id = query.readUInt16BE(0);
    this.#settle(id, false);
    metrics.forwarded(labels);
    this.#waiting.set(id, { query, labels, startedAt: performance.now() });
    this.#upstream ??= this.#connect();
    this.#upstream.send(query);
  }

  #connect(): TcpUpstream {
    const upstream = new TcpUpstream(this.#context, this.#servers, {
      onMessage: (message) => this.#answered(message),
      onEnd: () => this.#upstreamEnded(upstream),
      onDrain: () => this.#work(),
    });
    return upstream;
  }

  #answered(message: Buffer): void {
    const header = readHeader(message);
    if (header !== undefined) this.#settle(header.id, true);
    this.#client.write(frame(message));
    if (this.#client.writableLength > DNS_QUEUE_BYTES) this.#upstream?.pause();
    this.#work();
  }

  /** What was on its way then will not be answered: the client is told, and may ask on. */
  #upstreamEnded(upstream: TcpUpstream): void {
    if (this.#upstream !== upstream) return;
    this.#upstream = undefined;
    for (const { query } of this.#waiting.values()) {
      this.#client.write(frame(writeError(query, SERVFAIL)));
    }
    this.#settleAll(false);
    if (this.#clientEnded) this.#client.end();
    else this.#work();
  }

  /** The client will ask no more; the server may still have more to say. */
  #finish(): void {
    if (this.#upstream === undefined) this.#client.end();
    else this.#upstream.end();
  }

  #settle(id: number, answered: boolean): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    this.#context.queries.release();
    this.#context.metrics.settled(waiting.labels, answered, performance.now() - waiting.startedAt);
  }

  #settleAll(answered: boolean): void {
    for (const id of [...this.#waiting.keys()]) this.#settle(id, answered);
  }
}
