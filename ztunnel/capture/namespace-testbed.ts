/**
 * Test support: a node, a pod and a client as real network namespaces, joined by veths, IPv4 and
 * IPv6. Each namespace is held by a `cat` that ends with the test process, however that ends.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { IpAddress } from "#common/model/ip.ts";
import { createLinuxSyscalls } from "#ztunnel/sys/linux.ts";
import { createNetlink, type Netlink } from "#ztunnel/sys/netlink.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";
import { runInNetnsOrThrow } from "./run-in-netns.ts";

export interface TestNamespace {
  readonly pid: number;
  readonly netns: Netns;
}

export interface ConnectOptions {
  readonly ip: string;
  readonly port: number;
  readonly source?: string;
  readonly mark?: number;
}

/** The addresses of the testbed; the node is the gateway of both networks. */
export const POD_IPV4 = "10.77.0.2" as IpAddress;
export const POD_IPV6 = "fd77::2" as IpAddress;
export const CLIENT_IPV4 = "10.78.0.2" as IpAddress;
export const CLIENT_IPV6 = "fd78::2" as IpAddress;
const ANSWER_TIMEOUT_MS = 2_000;

export class NamespaceTestbed {
  readonly sys: Syscalls = createLinuxSyscalls();
  readonly netlink: Netlink = createNetlink();
  readonly node: TestNamespace;
  readonly pod: TestNamespace;
  readonly client: TestNamespace;
  readonly #closers: (() => unknown)[];

  private constructor(namespaces: readonly TestNamespace[], closers: (() => unknown)[]) {
    const [node, pod, client] = namespaces;
    if (node === undefined || pod === undefined || client === undefined) throw new Error("three");
    this.node = node;
    this.pod = pod;
    this.client = client;
    this.#closers = closers;
  }

  static async create(): Promise<NamespaceTestbed> {
    const closers: (() => unknown)[] = [];
    const sys = createLinuxSyscalls();
    const namespaces = await Promise.all([1, 2, 3].map(() => openNamespace(sys, closers)));
    const bed = new NamespaceTestbed(namespaces, closers);
    // Without duplicate address detection IPv6 works at once.
    for (const end of namespaces) bed.sysctl(end, "net/ipv6/conf/default/accept_dad", "0");
    await bed.#wire(bed.pod, "veth-pod", "10.77.0", "fd77::");
    await bed.#wire(bed.client, "veth-client", "10.78.0", "fd78::");
    bed.sysctl(bed.node, "net/ipv4/ip_forward", "1");
    bed.sysctl(bed.node, "net/ipv6/conf/all/forwarding", "1");
    return bed;
  }

  /** A further namespace with nothing but a loopback interface. */
  async bareNamespace(): Promise<TestNamespace> {
    const namespace = await openNamespace(this.sys, this.#closers);
    await this.ip(namespace, "link set lo up");
    return namespace;
  }

  async ip(namespace: TestNamespace, ...lines: string[]): Promise<void> {
    const input = `${lines.join("\n")}\n`;
    const command = { command: "ip", args: ["-batch", "-"], input } as const;
    await runInNetnsOrThrow(this.sys, namespace.netns, command);
  }

  async nft(namespace: TestNamespace, input: string): Promise<string> {
    const command = { command: "nft", args: ["-s", "-f", "-"], input } as const;
    return runInNetnsOrThrow(this.sys, namespace.netns, command);
  }

  /** The packet counts of a table's counters, in order. */
  async counters(namespace: TestNamespace, table: string): Promise<number[]> {
    const args = ["list", "table", "inet", table];
    const listing = await runInNetnsOrThrow(this.sys, namespace.netns, { command: "nft", args });
    return [...listing.matchAll(/counter packets ([0-9]+)/g)].map(([, count]) => Number(count));
  }

  /** Starts a program in a namespace; it is ended with the testbed. */
  spawnIn(namespace: TestNamespace, command: string, args: readonly string[]): ChildProcess {
    const child = this.sys.inNetns(namespace.netns, () => spawn(command, args, { stdio: "pipe" }));
    this.#closers.push(() => end(child));
    return child;
  }

  sysctl(namespace: TestNamespace, name: string, value: string): void {
    this.sys.inNetns(namespace.netns, () => fs.writeFileSync(`/proc/sys/${name}`, value));
  }

  /** Serves accepted connections, IPv4 ones too if `ip` is "::". */
  async serve(
    namespace: TestNamespace,
    ip: string,
    port: number,
    onConnection: (socket: net.Socket) => void,
    mark = 0,
  ): Promise<void> {
    const options = { ip: ip as IpAddress, port, backlog: 64, reusePort: true, mark };
    const fd = this.sys.inNetns(namespace.netns, () => this.sys.listenTcp(options));
    await this.serveDescriptor(fd, onConnection);
  }

  async serveDescriptor(
    fd: number,
    onConnection: (socket: net.Socket) => void,
  ): Promise<net.Server> {
    const sockets = new Set<net.Socket>();
    const server = net.createServer({ allowHalfOpen: false }, (socket) => {
      sockets.add(socket.on("error", () => sockets.delete(socket)));
      onConnection(socket);
    });
    await once(server.listen({ fd }), "listening");
    this.#closers.push(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    return server;
  }

  /** Connects from inside a namespace; throws the errno of a refusal, or ETIMEDOUT after 2 s. */
  async connect(namespace: TestNamespace, options: ConnectOptions): Promise<net.Socket> {
    const { ip, port, source, mark = 0 } = options;
    const fd = this.sys.inNetns(namespace.netns, () =>
      this.sys.openTcpSocket({
        family: net.isIPv6(ip) ? "ipv6" : "ipv4",
        mark,
        ...(source === undefined ? {} : { source: source as IpAddress }),
      }),
    );
    const socket = new net.Socket({ fd });
    this.#closers.push(() => socket.destroy());
    expectAnswer(socket, ip);
    socket.connect({ host: ip, port });
    await once(socket, "connect");
    socket.setTimeout(0);
    socket.on("error", () => socket.destroy());
    return socket;
  }

  /** What the server sends before it ends the connection. */
  async ask(namespace: TestNamespace, options: ConnectOptions): Promise<string> {
    const socket = await this.connect(namespace, options);
    expectAnswer(socket, options.ip);
    let text = "";
    for await (const chunk of socket.setEncoding("utf8")) text += chunk;
    return text;
  }

  close(): void {
    for (const close of this.#closers.reverse()) close();
  }

  async #wire(end: TestNamespace, veth: string, prefix4: string, prefix6: string): Promise<void> {
    await this.ip(
      this.node,
      `link add ${veth} type veth peer name eth0 netns ${end.pid}`,
      `addr add ${prefix4}.1/24 dev ${veth}`,
      `addr add ${prefix6}1/64 dev ${veth} nodad`,
      `link set ${veth} up`,
      "link set lo up",
    );
    await this.ip(
      end,
      `addr add ${prefix4}.2/24 dev eth0`,
      `addr add ${prefix6}2/64 dev eth0 nodad`,
      "link set lo up",
      "link set eth0 up",
      `route add default via ${prefix4}.1`,
      `route add default via ${prefix6}1`,
    );
  }
}

async function openNamespace(sys: Syscalls, closers: (() => unknown)[]): Promise<TestNamespace> {
  const child = spawn("unshare", ["--net", "cat"], { stdio: ["pipe", "ignore", "inherit"] });
  const { pid } = child;
  if (pid === undefined) throw new Error("cannot start unshare");
  closers.push(() => end(child));
  const own = fs.readlinkSync("/proc/self/ns/net");
  while (fs.readlinkSync(`/proc/${pid}/ns/net`) === own) await delay(5);
  const netns = sys.openNetns(`/proc/${pid}/ns/net`);
  closers.push(() => sys.closeNetns(netns));
  return { pid, netns };
}

function end(child: ChildProcess): void {
  child.kill("SIGKILL");
  child.unref();
}

/** Ends a socket on which nothing comes, with the error of a dial that found nobody. */
function expectAnswer(socket: net.Socket, ip: string): void {
  socket.setTimeout(ANSWER_TIMEOUT_MS, () => {
    socket.destroy(Object.assign(new Error(`no answer from ${ip}`), { code: "ETIMEDOUT" }));
  });
}
