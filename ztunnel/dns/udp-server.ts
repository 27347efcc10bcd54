/** DNS by UDP for one pod, on one address of its loopback interface. */
import dgram from "node:dgram";
import { type IpAddress, parseIp } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { ZTUNNEL_MARK } from "../proxy/dial.ts";
import { SERVFAIL, writeError } from "./answer.ts";
import type { DnsLabels } from "./dns-metrics.ts";
import type { PodDnsContext } from "./pod-dns-context.ts";
import { serversFor } from "./pod-resolver.ts";
import { decide, waitForSync } from "./responder.ts";
import { askByUdp } from "./upstream-udp.ts";

/** Where an upstream socket is bound: any address, a port that the kernel chooses. */
const ANY = { ipv4: "0.0.0.0" as IpAddress, ipv6: "::" as IpAddress } as const;

interface UdpClient {
  readonly address: string;
  readonly port: number;
}

export class UdpServer {
  readonly #context: PodDnsContext;
  readonly #socket: dgram.Socket;
  readonly #stopping = new AbortController();
  /** Queries under way, by client and id: one that is sent again meanwhile is not asked twice. */
  readonly #pending = new Set<string>();
  #closed = false;

  private constructor(context: PodDnsContext, socket: dgram.Socket) {
    this.#context = context;
    this.#socket = socket;
    socket.on("message", (query, { address, port }) => this.#received(query, { address, port }));
    // Of a datagram that could not be sent nobody hears; its client asks again.
    socket.on("error", () => undefined);
  }

  /** Serves a bound socket, which belongs to the server from here on. */
  static listen(context: PodDnsContext, fd: number, ip: IpAddress): Promise<UdpServer> {
    const socket = dgram.createSocket(ip.includes(":") ? "udp6" : "udp4");
    return new Promise((resolve, reject) => {
      socket.once("error", reject);
      socket.bind({ fd, exclusive: true }, () => {
        socket.off("error", reject);
        resolve(new UdpServer(context, socket));
      });
    });
  }

  /** Whether all queries have been answered that came so far. */
  get idle(): boolean {
    return this.#pending.size === 0;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopping.abort();
    this.#socket.close();
  }

  #received(query: Buffer, client: UdpClient): void {
    if (this.#context.isSynced()) this.#handle(query, client);
    else void this.#tracked(query, client, () => this.#handleLater(query, client));
  }

  async #handleLater(query: Buffer, client: UdpClient): Promise<void> {
    if (await waitForSync(this.#context)) this.#handle(query, client);
    else if (query.length >= 12) this.#send(writeError(query, SERVFAIL), client);
  }

  #handle(query: Buffer, client: UdpClient): void {
    const decision = decide(this.#context, query, "udp");
    if (decision.kind === "answer") this.#send(decision.answer, client);
    if (decision.kind !== "forward") return;
    const { labels } = decision;
    void this.#tracked(query, client, () => this.#forward(query, client, labels));
  }

  /** Runs what takes time, once per query and within the bounds. */
  async #tracked(query: Buffer, client: UdpClient, run: () => Promise<void>): Promise<void> {
    const { metrics, queries } = this.#context;
    const id = query.length < 2 ? 0 : query.readUInt16BE(0);
    const key = `${client.address} ${client.port} ${id}`;
    if (this.#pending.has(key)) {
      metrics.discarded("repeated-query");
      return;
    }
    const bound = queries.take();
    if (bound !== undefined) {
      metrics.limited(bound);
      if (query.length >= 12) this.#send(writeError(query, SERVFAIL), client);
      return;
    }
    this.#pending.add(key);
    try {
      await run();
    } finally {
      this.#pending.delete(key);
      queries.release();
    }
  }

  async #forward(query: Buffer, client: UdpClient, labels: DnsLabels): Promise<void> {
    const { metrics, resolver } = this.#context;
    const servers = serversFor(this.#askedServer(client), resolver.settings.nameservers);
    metrics.forwarded(labels);
    const startedAt = performance.now();
    const outcome = await askByUdp(
      query,
      servers,
      {
        openSocket: (family) => this.#openUpstream(family),
        onUnexpected: () => metrics.discarded("unexpected-answer"),
      },
      this.#stopping.signal,
    );
    const answered = typeof outcome !== "string";
    metrics.settled(labels, answered, performance.now() - startedAt);
    if (outcome === "no-socket") metrics.limited("no-socket");
    this.#send(answered ? outcome : writeError(query, SERVFAIL), client);
  }

  /** The name server that the client wrote to, before capture led it here. */
  #askedServer({ address, port }: UdpClient): IpAddress | undefined {
    const { netns, syscalls } = this.#context;
    const ip = parseIp(address.replace(/%.*$/, ""));
    const local = this.#socket.address();
    const localIp = parseIp(local.address);
    if (ip === undefined || localIp === undefined) return undefined;
    try {
      const asked = syscalls.inNetns(netns, () =>
        syscalls.originalUdpDestination({ ip, port }, { ip: localIp, port: local.port }),
      );
      return asked?.ip;
    } catch (error) {
      if (error instanceof MeshError) return undefined;
      throw error;
    }
  }

  #openUpstream(family: "ipv4" | "ipv6"): number {
    const { netns, syscalls } = this.#context;
    const options = { ip: ANY[family], port: 0, reusePort: false, mark: ZTUNNEL_MARK };
    return syscalls.inNetns(netns, () => syscalls.openUdpSocket(options));
  }

  #send(answer: Buffer, { address, port }: UdpClient): void {
    if (!this.#closed) this.#socket.send(answer, port, address, () => undefined);
  }
}
