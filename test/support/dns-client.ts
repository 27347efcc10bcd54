/** DNS as a pod's application speaks it, and name servers, both of the test's own process. */
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import type { IpAddress } from "#common/model/ip.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import { createLinuxSyscalls } from "#ztunnel/sys/linux.ts";
import type { Syscalls } from "#ztunnel/sys/syscalls.ts";

const DNS_PORT = 53;
/** ztunnel gives up after 4.5 s; a busy machine is slow to say so. */
const ANSWER_TIMEOUT_MS = 15_000;
const RESEND_MS = 300;

/** Gets each query, and sends any number of answers. */
export type Respond = (query: Buffer, send: (answer: Buffer) => void) => void;

export class DnsSockets implements Disposable {
  readonly #cluster: TestCluster;
  readonly #sys: Syscalls = createLinuxSyscalls();
  readonly #open: { close(): unknown }[] = [];

  constructor(cluster: TestCluster) {
    this.#cluster = cluster;
  }

  /** Sends a query from a pod to a name server; resolves with the first answer from it. */
  async ask(pod: string, server: string, query: Buffer): Promise<Buffer> {
    const socket = this.#udp(await this.#cluster.podNetns(pod), server, 0);
    const answer = await new Promise<Buffer>((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`no answer from ${server}`)),
        ANSWER_TIMEOUT_MS,
      );
      // An answer from anywhere else than the server that was asked never gets here.
      socket.once("message", (message) => {
        clearTimeout(late);
        resolve(message);
      });
      socket.connect(DNS_PORT, server, () => socket.send(query));
      socket.once("error", (error) => {
        clearTimeout(late);
        reject(error);
      });
    });
    socket.close();
    return answer;
  }

  /**
   * Sends queries from one socket of a pod at once, their ids being their places in the list, and
   * again until they are answered: a socket takes only so many in one go.
   */
  async askMany(pod: string, server: string, queries: readonly Buffer[]): Promise<Buffer[]> {
    const socket = this.#udp(await this.#cluster.podNetns(pod), server, 0);
    const answers = new Map<number, Buffer>();
    const sendRest = (): void => {
      for (const [id, query] of queries.entries()) {
        if (!answers.has(id)) socket.send(query, DNS_PORT, server);
      }
    };
    const resending = setInterval(sendRest, RESEND_MS);
    try {
      await new Promise<void>((resolve, reject) => {
        const few = () => reject(new Error(`${answers.size} of ${queries.length} answers`));
        setTimeout(few, ANSWER_TIMEOUT_MS).unref();
        socket.on("message", (message) => {
          answers.set(message.readUInt16BE(0), message);
          if (answers.size === queries.length) resolve();
        });
        sendRest();
      });
    } finally {
      clearInterval(resending);
      socket.close();
    }
    return [...answers.values()];
  }

  /** Sends a datagram from a pod to a name server, and hears no answer. */
  async send(pod: string, server: string, message: Buffer): Promise<void> {
    const socket = this.#udp(await this.#cluster.podNetns(pod), server, 0);
    await new Promise<void>((resolve, reject) => {
      socket.send(message, DNS_PORT, server, (error) => (error ? reject(error) : resolve()));
    });
    socket.close();
  }

  /** A name server by UDP in a pod, on port 53. */
  async serve(pod: string, respond: Respond): Promise<void> {
    for (const any of ["0.0.0.0", "::"]) {
      const socket = this.#udp(await this.#cluster.podNetns(pod), any, DNS_PORT);
      socket.on("message", (query, { address, port }) =>
        respond(query, (answer) => socket.send(answer, port, address, () => undefined)),
      );
      this.#open.push({ close: () => socket.close() });
    }
  }

  /** A name server by TCP in a pod, on port 53: gets whole frames, sends whole frames. */
  async serveTcp(pod: string, onConnection: (socket: net.Socket) => void): Promise<void> {
    const ip = "::" as IpAddress;
    const options = { ip, port: DNS_PORT, backlog: 64, reusePort: false, mark: 0 };
    const fd = await this.#inPod(pod, () => this.#sys.listenTcp(options));
    const server = net.createServer((socket) => {
      socket.on("error", () => undefined);
      this.#open.push({ close: () => socket.destroy() });
      onConnection(socket);
    });
    server.listen({ fd });
    await once(server, "listening");
    this.#open.push(server);
  }

  [Symbol.dispose](): void {
    for (const open of this.#open.splice(0)) open.close();
  }

  async #inPod<Result>(pod: string, action: () => Result): Promise<Result> {
    return this.#in(await this.#cluster.podNetns(pod), action);
  }

  #in<Result>(path: string, action: () => Result): Result {
    const netns = this.#sys.openNetns(path);
    try {
      return this.#sys.inNetns(netns, action);
    } finally {
      this.#sys.closeNetns(netns);
    }
  }

  #udp(netnsPath: string, like: string, port: number): dgram.Socket {
    const isIpv6 = like.includes(":");
    const ip = (isIpv6 ? "::" : "0.0.0.0") as IpAddress;
    const options = { ip, port, reusePort: false, mark: 0 };
    const fd = this.#in(netnsPath, () => this.#sys.openUdpSocket(options));
    const socket = dgram.createSocket(isIpv6 ? "udp6" : "udp4");
    // Of a descriptor there is nothing to wait for.
    return socket.bind({ fd, exclusive: true });
  }
}
