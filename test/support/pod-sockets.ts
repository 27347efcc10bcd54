/**
 * Applications that a test holds in its own hands: sockets of the test's process in the pods'
 * networks. What captures a pod's traffic does not look at whose process it is.
 */
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { formatSocketAddress, type IpAddress, parseIp } from "#common/model/ip.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import { createLinuxSyscalls } from "#ztunnel/sys/linux.ts";
import type { Syscalls } from "#ztunnel/sys/syscalls.ts";

const BACKLOG = 4_096;
/** Below those that the kernel gives out, to ztunnels among others. */
const CALL_PORTS = { first: 21_000, last: 32_767 } as const;
let nextCallPort: number = CALL_PORTS.first;

/** Where something listens; `ip` may be a service's address. */
export interface Target {
  readonly ip: string;
  readonly port: number;
  /** The client's own; absent: any that is free. */
  readonly localPort?: number;
}

/** How a connection ended, seen from one side, and what arrived before. */
export interface Ending {
  /** "end": the peer finished properly; "reset": by an RST; otherwise the error's code. */
  readonly how: string;
  readonly received: Buffer;
}

/** A connection from its beginning to its end. */
export interface Call extends Ending {
  /** The client's address and port, as an access log has them. */
  readonly source: string;
}

export class PodSockets implements Disposable {
  readonly #cluster: TestCluster;
  readonly #sys: Syscalls = createLinuxSyscalls();
  readonly #open = new Set<{ destroy(): unknown }>();

  constructor(cluster: TestCluster) {
    this.#cluster = cluster;
  }

  /** A TCP server in a pod; it takes IPv4 and IPv6, and keeps half-open connections half open. */
  async serve(
    pod: string,
    port: number,
    onConnection: (socket: net.Socket) => void,
  ): Promise<net.Server> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#keep(socket);
      onConnection(socket);
    });
    return this.#listen(server, await this.#cluster.podNetns(pod), port);
  }

  /** A TCP server in a node's own network, where the mesh knows of nobody. */
  async serveOnNode(
    node: string,
    port: number,
    onConnection: (socket: net.Socket) => void,
  ): Promise<net.Server> {
    const server = net.createServer((socket) => {
      this.#keep(socket);
      onConnection(socket);
    });
    return this.#listen(server, await this.#cluster.nodeNetns(node), port);
  }

  /** An HTTP server in a pod. */
  async serveHttp(
    pod: string,
    port: number,
    listener: (
      peer: string,
      request: http.IncomingMessage,
      response: http.ServerResponse,
    ) => string,
  ): Promise<net.Server> {
    const server = http.createServer((request, response) => {
      response.end(listener(peerIp(request.socket), request, response));
    });
    server.on("connection", (socket) => this.#keep(socket));
    return this.#listen(server, await this.#cluster.podNetns(pod), port);
  }

  /**
   * A connection from a pod, once it stands. Rejects with the error's code as the socket has it.
   */
  async dial(pod: string, target: Target): Promise<net.Socket> {
    return this.#dialFrom(await this.#cluster.podNetns(pod), target);
  }

  /**
   * Connects from a pod, sends `text` where there is one, ends its direction and reads to the end.
   * A connection that is reset before anybody could look at it ends as "reset" too; one that is
   * refused as "ECONNREFUSED". Its port is its own, so that a log says of its source nothing about
   * another: the kernel would give a port again, for another destination.
   */
  async call(pod: string, target: Target, text = ""): Promise<Call> {
    const localPort = target.localPort ?? takeCallPort();
    return (await this.caller(pod))({ ...target, ...(localPort && { localPort }) }, text);
  }

  /** As `call`, for many calls: the pod is looked up once, and the kernel chooses the ports. */
  async caller(pod: string): Promise<(target: Target, text?: string) => Promise<Call>> {
    const netnsPath = await this.#cluster.podNetns(pod);
    return (target, text = "") => this.#callFrom(netnsPath, target, text);
  }

  async #callFrom(netnsPath: string, target: Target, text: string): Promise<Call> {
    const socket = this.#connect(netnsPath, target);
    // connect(2) itself is on this queue too, ahead of us.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    const { address, port } = socket.address() as net.AddressInfo;
    const source = formatSocketAddress({ ip: address as IpAddress, port });
    socket.end(text);
    return { source, ...(await readToEnd(socket)) };
  }

  /** A connection from a node's own network; `fabric` is the network between the nodes. */
  async dialFromNode(node: string, target: Target): Promise<net.Socket> {
    return this.#dialFrom(await this.#cluster.nodeNetns(node), target);
  }

  /** Many connections from one pod at once; each that fails rejects all. */
  async dialMany(pod: string, target: Target, count: number): Promise<net.Socket[]> {
    const path = await this.#cluster.podNetns(pod);
    return Promise.all(Array.from({ length: count }, () => this.#dialFrom(path, target)));
  }

  [Symbol.dispose](): void {
    for (const open of this.#open) open.destroy();
    this.#open.clear();
  }

  async #dialFrom(netnsPath: string, target: Target): Promise<net.Socket> {
    const socket = this.#connect(netnsPath, target);
    await once(socket, "connect");
    return socket.setNoDelay(true);
  }

  /** A socket of that namespace, on its way to the target. */
  #connect(netnsPath: string, { ip, port, localPort }: Target): net.Socket {
    const family = ip.includes(":") ? "ipv6" : "ipv4";
    const netns = this.#sys.openNetns(netnsPath);
    let fd: number;
    try {
      fd = this.#sys.inNetns(netns, () => this.#sys.openTcpSocket({ family, mark: 0 }));
    } finally {
      this.#sys.closeNetns(netns);
    }
    // manualStart keeps Node from reading a socket that is not connected; it has no type of its
    // own.
    const options = { fd, manualStart: true, allowHalfOpen: true } as net.SocketConstructorOpts;
    const socket = new net.Socket(options).connect({
      host: ip,
      port,
      ...(localPort !== undefined && { localPort }),
    });
    this.#keep(socket);
    return socket;
  }

  async #listen<Server extends net.Server>(
    server: Server,
    netnsPath: string,
    port: number,
  ): Promise<Server> {
    const netns = this.#sys.openNetns(netnsPath);
    try {
      const options = { ip: "::" as IpAddress, port, backlog: BACKLOG, reusePort: false, mark: 0 };
      const fd = this.#sys.inNetns(netns, () => this.#sys.listenTcp(options));
      server.listen({ fd }, BACKLOG);
      await once(server, "listening");
    } finally {
      this.#sys.closeNetns(netns);
    }
    this.#open.add({ destroy: () => server.close() });
    return server;
  }

  #keep(socket: net.Socket): void {
    socket.on("error", () => undefined);
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
  }
}

/** Undefined when all have been used: no test has so many calls whose source it looks for. */
function takeCallPort(): number | undefined {
  return nextCallPort <= CALL_PORTS.last ? nextCallPort++ : undefined;
}

/** The address of a connection's other side, IPv4 in its own notation. */
export function peerIp(socket: net.Socket): string {
  return parseIp(socket.remoteAddress ?? "") ?? "";
}

/**
 * Reads a connection to its end. The reader ends its own direction only if told to: a socket that
 * nobody ends stays half open.
 */
export function readToEnd(socket: net.Socket): Promise<Ending> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const finish = (how: string): void => resolve({ how, received: Buffer.concat(chunks) });
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.once("end", () => finish("end"));
    socket.once("error", (error: NodeJS.ErrnoException) => {
      finish(error.code === "ECONNRESET" ? "reset" : (error.code ?? error.message));
    });
    socket.once("close", () => finish("closed"));
    socket.resume();
  });
}

/** The next bytes of a connection, until there are `length`; what is beyond stays in the result. */
export function readBytes(socket: net.Socket, length: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const finish = (settle: () => void): void => {
      socket.off("data", onData).off("end", onEnd).off("close", onEnd);
      settle();
    };
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      if (received.length < length) return;
      socket.pause();
      finish(() => resolve(received));
    };
    const onEnd = (): void =>
      finish(() => reject(new Error(`ended after ${received.length} of ${length} bytes`)));
    socket.on("data", onData).on("end", onEnd).on("close", onEnd);
    socket.resume();
  });
}
