/** The DNS proxy of one captured pod: its sockets, its sessions, and their end. */
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { IpAddress } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { LISTENER_BACKLOG } from "../limits.ts";
import { descriptorOf } from "../proxy/node-internals.ts";
import type { DnsListener } from "./dns-listeners.ts";
import { DNS_CONNECTIONS_PER_POD } from "./limits.ts";
import type { PodDnsContext } from "./pod-dns-context.ts";
import { serversFor } from "./pod-resolver.ts";
import { TcpSession } from "./tcp-session.ts";
import { UdpServer } from "./udp-server.ts";

const DRAIN_POLL_MS = 10;

export class PodDns {
  readonly #context: PodDnsContext;
  readonly #udp: UdpServer[] = [];
  readonly #tcp: net.Server[] = [];
  readonly #sessions = new Set<TcpSession>();

  constructor(context: PodDnsContext) {
    this.#context = context;
  }

  /** Serves the listeners, which belong to it from here on. */
  async listen(listeners: readonly DnsListener[]): Promise<void> {
    await this.#context.resolver.refresh();
    for (const { ip, udp, tcp } of listeners) {
      await this.#listenTcp(tcp);
      this.#udp.push(await UdpServer.listen(this.#context, udp, ip));
    }
  }

  /** Answers what has been asked, until the deadline; datagrams still arriving too. */
  async drain(deadlineMs: number): Promise<void> {
    for (const server of this.#tcp) server.close();
    const deadline = performance.now() + deadlineMs;
    while (!this.#isIdle() && performance.now() < deadline) await sleep(DRAIN_POLL_MS);
    this.close();
  }

  close(): void {
    for (const server of this.#tcp) server.close();
    for (const server of this.#udp) server.close();
    for (const session of [...this.#sessions]) session.destroy();
  }

  #isIdle(): boolean {
    const sessions = [...this.#sessions];
    return this.#udp.every(({ idle }) => idle) && sessions.every(({ idle }) => idle);
  }

  #listenTcp(fd: number): Promise<void> {
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
      this.#accept(socket),
    );
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ fd }, LISTENER_BACKLOG, () => {
        // A connection that could not be accepted is its client's to make again.
        server.off("error", reject).on("error", () => undefined);
        this.#tcp.push(server);
        resolve();
      });
    });
  }

  #accept(socket: net.Socket): void {
    if (this.#sessions.size >= DNS_CONNECTIONS_PER_POD) {
      this.#context.metrics.limited("pod-connections");
      socket.resetAndDestroy();
      return;
    }
    const servers = serversFor(
      this.#askedServer(socket),
      this.#context.resolver.settings.nameservers,
    );
    const session = new TcpSession(this.#context, socket, servers);
    this.#sessions.add(session);
    socket.once("close", () => this.#sessions.delete(session));
  }

  /** The name server that the client connected to, before capture led it here. */
  #askedServer(socket: net.Socket): IpAddress | undefined {
    const { syscalls } = this.#context;
    const family = socket.remoteFamily === "IPv6" ? "ipv6" : "ipv4";
    try {
      return syscalls.originalDestination(descriptorOf(socket), family)?.ip;
    } catch (error) {
      if (error instanceof MeshError) return undefined;
      throw error;
    }
  }
}
