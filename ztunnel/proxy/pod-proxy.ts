/** One captured pod on one data worker: its three listeners, its tunnels, and their end. */

import net from "node:net";
import type { SocketAddress } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { pause } from "#common/runtime/pause.ts";
import type { WorkloadCertificate } from "#common/tls/workload-certificate.ts";
import { failure } from "#common/transport/failure.ts";
import { HbonePool } from "#common/transport/hbone-pool.ts";
import { HboneServer } from "#common/transport/hbone-server.ts";
import { type ConnectTcp, openTunnel } from "#common/transport/tunnel-opener.ts";
import type { Syscalls } from "#ztunnel/sys/syscalls.ts";
import { LISTENER_BACKLOG, UNDECIDED_WAIT_MS } from "../limits.ts";
import { InboundHbone } from "./inbound-hbone.ts";
import { strangerMeta } from "./inbound-meta.ts";
import { InboundPlaintext } from "./inbound-plaintext.ts";
import { acceptHandles, peerOf, type TcpHandle } from "./node-internals.ts";
import { Outbound } from "./outbound.ts";
import type { PodContext } from "./pod-context.ts";
import { TcpEnd } from "./tcp-end.ts";

/** Listening descriptors of one pod for one worker; the worker owns them from here on. */
export interface PodListeners {
  readonly outbound: number;
  readonly inboundPlaintext: number;
  readonly hbone: number;
}

interface CapturedHandler {
  handle(
    client: TcpEnd,
    clientAddress: SocketAddress,
    original: SocketAddress | undefined,
  ): Promise<void>;
}

export class PodProxy {
  readonly context: PodContext;
  readonly pool: HbonePool;
  readonly hbone: HboneServer;
  readonly #syscalls: Syscalls;
  readonly #servers: net.Server[] = [];
  /** Captured connections that are neither carried nor refused yet. */
  readonly #undecided = new Set<Promise<void>>();

  constructor(context: PodContext, syscalls: Syscalls) {
    this.context = context;
    this.#syscalls = syscalls;
    const { dialer, netns } = context;
    const connect: ConnectTcp = (address) => dialer.connectSocket({ netns, address });
    this.pool = new HbonePool(
      (target, onClosed) => openTunnel(context, connect, target, onClosed),
      context.tuning.tunnelIdleMs,
    );
    this.hbone = createHboneServer(context);
  }

  /** Starts accepting. Rejects if a descriptor is not a listening socket. */
  async listen(listeners: PodListeners): Promise<void> {
    const outbound = new Outbound(this.context, this.pool);
    const plaintext = new InboundPlaintext(this.context);
    await Promise.all([
      this.#listenCaptured(listeners.outbound, outbound),
      this.#listenCaptured(listeners.inboundPlaintext, plaintext),
      this.#listenHbone(listeners.hbone),
    ]);
  }

  /** Takes these listeners in place of those it has; connections go on. */
  async relisten(listeners: PodListeners): Promise<void> {
    const before = this.#servers.splice(0);
    try {
      await this.listen(listeners);
    } finally {
      for (const server of before) server.close();
    }
  }

  setCertificate(certificate: WorkloadCertificate): void {
    this.hbone.setCertificate(certificate);
    this.pool.retireAll();
  }

  /** No new connections; those that stand, or are on their way, go on. */
  drain(noticeMs: number): void {
    for (const server of this.#servers) server.close();
    this.hbone.drain(noticeMs);
  }

  /** The pod is gone or no longer captured: everything ends. Resolves when it has. */
  async destroy(): Promise<void> {
    for (const server of this.#servers) server.close();
    this.#abort();
    this.hbone.destroy();
    this.pool.close();
    // What is not decided yet ends here too: soon its reset would no longer reach its client.
    const late = new AbortController();
    const waited = pause(UNDECIDED_WAIT_MS, late.signal);
    await Promise.race([Promise.allSettled(this.#undecided), waited]);
    late.abort();
    this.#abort();
  }

  #abort(): void {
    const { tracker, pod } = this.context;
    const why = failure("workload-removed", "connection closed: the pod left the mesh");
    tracker.abort((podUid) => (podUid === pod.uid ? why : undefined));
  }

  async #listenCaptured(fd: number, handler: CapturedHandler): Promise<void> {
    const server = net.createServer();
    await listening(server, fd);
    this.#servers.push(server);
    const onHandle = (handle: TcpHandle): void => this.#captured(handle, handler);
    acceptHandles(server, onHandle, () => this.#acceptFailed());
  }

  #captured(handle: TcpHandle, handler: CapturedHandler): void {
    const { tracker, tcp, capacity, pod } = this.context;
    const limit = capacity.reached(pod.uid);
    if (limit !== undefined) {
      this.#syscalls.resetOnClose(handle.fd);
      handle.close();
      tracker.acceptFailed(limit);
      return;
    }
    const peer = peerOf(handle);
    if (peer === undefined) {
      // Reset by its peer before it could be looked at.
      handle.close();
      return;
    }
    const original = this.#originalDestination(handle, peer);
    const client = TcpEnd.accepted(handle, tcp);
    tracker.accepted();
    const handled = handler.handle(client, peer, original);
    this.#undecided.add(handled);
    void this.#whenDecided(handled, client);
  }

  async #whenDecided(handled: Promise<void>, client: TcpEnd): Promise<void> {
    const { tracker } = this.context;
    try {
      await handled;
    } catch (error) {
      client.reset();
      tracker.internalError(error);
    }
    tracker.decided();
    this.#undecided.delete(handled);
  }

  #originalDestination({ fd }: TcpHandle, { ip }: SocketAddress): SocketAddress | undefined {
    try {
      // An IPv4 client is one to conntrack too, though the listener is the one of both families.
      return this.#syscalls.originalDestination(fd, ip.includes(":") ? "ipv6" : "ipv4");
    } catch (error) {
      if (error instanceof MeshError) return undefined;
      throw error;
    }
  }

  async #listenHbone(fd: number): Promise<void> {
    const server = net.createServer({ pauseOnConnect: true }, (socket) =>
      this.hbone.accept(socket),
    );
    await listening(server, fd);
    server.on("error", () => this.#acceptFailed());
    this.#servers.push(server);
  }

  #acceptFailed(): void {
    this.context.tracker.acceptFailed();
  }
}

function listening(server: net.Server, fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    // listen(2) is called again, with Node's own backlog unless it is given here.
    server.listen({ fd }, LISTENER_BACKLOG, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** The pod's 15008, telling the worker's tracker of all that happens. */
function createHboneServer(context: PodContext): HboneServer {
  const { capacity, peers, pod, state, tracker, trustDomains, tuning } = context;
  const inbound = new InboundHbone(context);
  return new HboneServer({
    peers,
    trustDomains,
    http2: tuning.http2,
    memoryIsShort: () => capacity.memoryIsShort,
    onStream: (stream, headers, peer) => inbound.handle(stream, headers, peer),
    events: {
      accepted: () => tracker.accepted(),
      decided: () => tracker.decided(),
      acceptFailed: (limit) => tracker.acceptFailed(limit),
      internalError: (error) => tracker.internalError(error),
      refused: ({ address, localIp }, why) => {
        const workload = state.findWorkloadByUid(pod.workloadUid);
        tracker.refused(strangerMeta(address, localIp, workload), performance.now(), why);
      },
    },
  });
}
