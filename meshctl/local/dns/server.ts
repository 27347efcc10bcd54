/** The cluster's DNS server: UDP and TCP on the fabric. */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import type { IpAddress } from "#common/model/ip.ts";
import { DNS_TCP_CONNECTIONS_MAX, DNS_TCP_IDLE_MS } from "#meshctl/local/limits.ts";
import { answerQuery } from "./answers.ts";
import type { DnsZone } from "./zone.ts";

const DNS_PORT = 53;
/** A DNS message over TCP has its length in two bytes before it (RFC 1035 §4.2.2). */
const LENGTH_BYTES = 2;

export class DnsServer {
  readonly #sockets: UdpSocket[] = [];
  readonly #servers: Server[] = [];
  /** Replaced as a whole when names change. */
  zone: DnsZone = { lookup: () => undefined };

  async listen(ips: readonly IpAddress[], port = DNS_PORT): Promise<void> {
    for (const ip of ips) {
      const socket = createSocket(ip.includes(":") ? "udp6" : "udp4");
      socket.on("message", (query, peer) => {
        const answer = answerQuery(query, this.zone, "udp", Math.random);
        // The client asks again if its answer is lost.
        if (answer !== undefined) socket.send(answer, peer.port, peer.address, () => undefined);
      });
      socket.bind(port, ip);
      this.#sockets.push(socket);
      const server = createServer((connection) => this.#serve(connection));
      server.maxConnections = DNS_TCP_CONNECTIONS_MAX;
      server.listen(port, ip);
      this.#servers.push(server);
      await Promise.all([once(socket, "listening"), once(server, "listening")]);
    }
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
    for (const server of this.#servers) server.close();
  }

  #serve(connection: Socket): void {
    let pending = Buffer.alloc(0);
    connection.setTimeout(DNS_TCP_IDLE_MS, () => connection.destroy());
    connection.on("error", () => connection.destroy());
    connection.on("data", (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= LENGTH_BYTES) {
        const end = LENGTH_BYTES + pending.readUInt16BE(0);
        if (pending.length < end) return;
        const query = pending.subarray(LENGTH_BYTES, end);
        pending = pending.subarray(end);
        const answer = answerQuery(query, this.zone, "tcp", Math.random);
        if (answer === undefined) return void connection.destroy();
        const length = Buffer.alloc(LENGTH_BYTES);
        length.writeUInt16BE(answer.length);
        connection.write(Buffer.concat([length, answer]));
      }
    });
  }
}
