/**
 * Asks name servers by UDP: one socket, one random port and one random id per attempt, connected,
 * so that only the server itself is heard. A server that says nothing for a while is not given up,
 * but another is asked beside it; the first good answer counts. Nothing of a query or an answer is
 * changed but its id.
 */
import { randomInt } from "node:crypto";
import dgram from "node:dgram";
import type { IpAddress } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { NOTIMP, REFUSED, SERVFAIL } from "./answer.ts";
import { isAnswerTo } from "./answer-match.ts";
import { DNS_ATTEMPT_MS, DNS_ATTEMPTS, DNS_QUERY_TIMEOUT_MS } from "./limits.ts";
import { OPCODE_QUERY, readHeader } from "./message.ts";

export interface UdpUpstreamDeps {
  /** A UDP socket of the family in the pod's namespace, bound to a random port, not captured. */
  readonly openSocket: (family: "ipv4" | "ipv6") => number;
  /** An answer came that does not belong to the query. */
  readonly onUnexpected: () => void;
  /** Port of the name servers. @default 53 */
  readonly port?: number;
}

const DNS_PORT = 53;

/** An answer with the query's own id; or that none came, or that there is no socket to ask with. */
export type UpstreamOutcome = Buffer | "no-answer" | "no-socket";

/** Asks the servers in order. Never rejects. Without servers there is no answer. */
export function askByUdp(
  query: Buffer,
  servers: readonly IpAddress[],
  deps: UdpUpstreamDeps,
  signal?: AbortSignal,
): Promise<UpstreamOutcome> {
  return new Promise((resolve) => new UdpQuestion(query, servers, deps, signal, resolve).start());
}

class UdpQuestion {
  readonly #query: Buffer;
  readonly #servers: readonly IpAddress[];
  readonly #deps: UdpUpstreamDeps;
  readonly #signal: AbortSignal | undefined;
  readonly #resolve: (outcome: UpstreamOutcome) => void;
  readonly #sockets = new Set<dgram.Socket>();
  readonly #attempts: number;
  readonly #abort = () => this.#finish("no-answer");
  #started = 0;
  #attemptTimer: NodeJS.Timeout | undefined;
  #deadline: NodeJS.Timeout | undefined;
  /** What a server said that could not or would not answer: better than nothing. */
  #refusal: Buffer | undefined;

  constructor(
    query: Buffer,
    servers: readonly IpAddress[],
    deps: UdpUpstreamDeps,
    signal: AbortSignal | undefined,
    resolve: (outcome: UpstreamOutcome) => void,
  ) {
    this.#query = query;
    this.#servers = servers;
    this.#deps = deps;
    this.#signal = signal;
    this.#resolve = resolve;
    // What is no question (an update, say) may not be harmless to repeat.
    const repeatable = readHeader(query)?.opcode === OPCODE_QUERY;
    this.#attempts = repeatable ? Math.max(DNS_ATTEMPTS, servers.length) : 1;
  }

  start(): void {
    if (this.#servers.length === 0 || this.#signal?.aborted) {
      this.#finish("no-answer");
      return;
    }
    this.#signal?.addEventListener("abort", this.#abort, { once: true });
    this.#deadline = setTimeout(() => this.#finish("no-answer"), DNS_QUERY_TIMEOUT_MS);
    this.#next();
  }

  /** Asks the next server, or the first again; nothing where all attempts are under way. */
  #next(): void {
    clearTimeout(this.#attemptTimer);
    const server = this.#servers[this.#started % this.#servers.length];
    if (server === undefined || this.#started >= this.#attempts) return;
    this.#started++;
    this.#attemptTimer = setTimeout(() => this.#next(), DNS_ATTEMPT_MS);
    this.#ask(server);
  }

  #ask(server: IpAddress): void {
    const isIpv6 = server.includes(":");
    let fd: number;
    try {
      fd = this.#deps.openSocket(isIpv6 ? "ipv6" : "ipv4");
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      if (this.#sockets.size === 0) this.#finish("no-socket");
      return;
    }
    const query = Buffer.from(this.#query);
    query.writeUInt16BE(randomInt(0x10000), 0);
    const socket = dgram.createSocket({
      type: isIpv6 ? "udp6" : "udp4",
      lookup: (address, _options, done) => done(null, address, isIpv6 ? 6 : 4),
    });
    this.#sockets.add(socket);
    socket.on("message", (answer) => this.#received(socket, query, answer));
    // A port that nobody listens on answers by ICMP; a server of a family without route at once.
    socket.on("error", () => this.#failed(socket));
    socket.once("connect", () => socket.send(query, (error) => error && this.#failed(socket)));
    socket.bind({ fd, exclusive: true }, () => {
      if (this.#sockets.has(socket)) socket.connect(this.#deps.port ?? DNS_PORT, server);
    });
  }

  #received(socket: dgram.Socket, query: Buffer, answer: Buffer): void {
    const header = readHeader(answer);
    if (header === undefined || !isAnswerTo(query, answer)) {
      this.#deps.onUnexpected();
      return;
    }
    answer.writeUInt16BE(this.#query.readUInt16BE(0), 0);
    if (![SERVFAIL, NOTIMP, REFUSED].includes(header.rcode)) {
      this.#finish(answer);
      return;
    }
    this.#refusal ??= answer;
    this.#failed(socket);
  }

  /** One server is out: another one is asked at once, unless it has been already. */
  #failed(socket: dgram.Socket): void {
    if (!this.#sockets.delete(socket)) return;
    socket.close();
    const untried = this.#started < Math.min(this.#servers.length, this.#attempts);
    if (untried) this.#next();
    else if (this.#sockets.size === 0) this.#finish("no-answer");
  }

  #finish(outcome: UpstreamOutcome): void {
    clearTimeout(this.#attemptTimer);
    clearTimeout(this.#deadline);
    this.#signal?.removeEventListener("abort", this.#abort);
    for (const socket of this.#sockets) socket.close();
    this.#sockets.clear();
    this.#resolve(typeof outcome === "string" ? (this.#refusal ?? outcome) : outcome);
  }
}
