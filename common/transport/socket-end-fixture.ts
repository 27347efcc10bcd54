/** For tests: two ends of a real connection, plain and over TLS, and who listens at one. */
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { after } from "node:test";
import tls from "node:tls";
import { TestAuthority } from "#common/tls/authority-fixture.ts";
import type { EndEvents } from "./end.ts";
import { EndDuplex } from "./end-duplex.ts";
import { FlushBatcher } from "./flush-batcher.ts";
import { SocketEnd } from "./socket-end.ts";

export interface Pair {
  readonly own: Duplex;
  readonly peer: Duplex;
  readonly resetPeer: () => void;
}

const open: Duplex[] = [];
after(() => {
  for (const stream of open) stream.destroy();
});

async function listening<Server extends net.Server>(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** `own` is the client's end. */
export async function tcpPair(): Promise<Pair & { own: net.Socket; peer: net.Socket }> {
  const server = net.createServer({ allowHalfOpen: true });
  const port = await listening(server);
  const own = net.connect(port, "127.0.0.1");
  const [[peer]] = await Promise.all([once(server, "connection"), once(own, "connect")]);
  server.close();
  open.push(own, peer);
  return { own, peer, resetPeer: () => peer.resetAndDestroy() };
}

const { certChainPem: cert, privateKeyPem: key } = TestAuthority.root().workload();

/** `carry` makes what the client's TLS is carried by. */
async function tlsEnds(carry: (tcp: net.Socket) => Duplex = (tcp) => tcp) {
  const server = tls.createServer({ key, cert, allowHalfOpen: true });
  const port = await listening(server);
  const rawServer = once(server, "connection") as Promise<[net.Socket]>;
  const accepted = once(server, "secureConnection") as Promise<[tls.TLSSocket]>;
  const rawClient = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  await once(rawClient, "connect");
  const client = tls.connect({ socket: carry(rawClient), rejectUnauthorized: false });
  // After the session ticket no write of TLS is under way, to whose lot an error could fall.
  const [[raw], [secure]] = await Promise.all([rawServer, accepted, once(client, "session")]);
  server.close();
  open.push(client, secure);
  return { client, rawClient, secure, raw };
}

async function tlsClientPair(): Promise<Pair> {
  const { client, secure, raw } = await tlsEnds();
  return { own: client, peer: secure, resetPeer: () => raw.resetAndDestroy() };
}

async function tlsServerPair(): Promise<Pair> {
  const { client, rawClient, secure } = await tlsEnds();
  return { own: secure, peer: client, resetPeer: () => rawClient.resetAndDestroy() };
}

/** TLS inside of another stream, as where it is carried by a tunnel. */
async function tlsOverEndPair(): Promise<Pair> {
  const batcher = new FlushBatcher();
  const { client, secure, raw } = await tlsEnds(
    (tcp) => new EndDuplex(new SocketEnd(tcp, batcher)),
  );
  return { own: client, peer: secure, resetPeer: () => raw.resetAndDestroy() };
}

interface Kind {
  readonly name: string;
  readonly pair: () => Promise<Pair>;
  /** Whether a probe reaches the connection. @default true */
  readonly probes?: boolean;
}

export const KINDS: readonly Kind[] = [
  { name: "TCP", pair: tcpPair },
  { name: "TLS, the client's end", pair: tlsClientPair },
  { name: "TLS, the server's end", pair: tlsServerPair },
  { name: "TLS over another end", pair: tlsOverEndPair, probes: false },
];

type EventName = "data" | "end" | "drain" | "closed";

/** Notes what it hears. */
export class Listener implements EndEvents {
  readonly closed: Promise<NodeJS.ErrnoException | undefined>;
  willing = true;
  text = "";
  readonly #counts = new Map<EventName, number>();
  readonly #waiting = new Map<EventName, () => void>();
  #onClosed: (error: Error | undefined) => void = () => undefined;

  constructor() {
    this.closed = new Promise((resolve) => {
      this.#onClosed = resolve;
    });
  }

  count(event: EventName): number {
    return this.#counts.get(event) ?? 0;
  }

  /** Resolves when the event has been heard once. */
  heard(event: EventName): Promise<void> {
    if (this.count(event) > 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.set(event, resolve));
  }

  onData(chunk: Uint8Array): boolean {
    if (this.text.length < 1_000) this.text += Buffer.from(chunk.subarray(0, 1_000)).toString();
    this.#note("data");
    return this.willing;
  }
  onEnd(): void {
    this.#note("end");
  }
  onDrain(): void {
    this.#note("drain");
  }
  onClosed(error: Error | undefined): void {
    this.#note("closed");
    this.#onClosed(error);
  }

  #note(event: EventName): void {
    this.#counts.set(event, this.count(event) + 1);
    this.#waiting.get(event)?.();
  }
}
