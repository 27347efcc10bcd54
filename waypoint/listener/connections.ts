/**
 * The clients' connections that stand: counted against their bound, shown, and brought to an end.
 */
import type { Identity } from "#common/model/identity.ts";
import type { SocketAddress } from "#common/model/ip.ts";
import type { Downstream } from "../filter/stage.ts";
import type { ServerConnection } from "../http/engine.ts";
import type { Endpoint } from "../upstream/upstream.ts";

/** What is known of a connection when it is added. */
export interface ConnectionFacts {
  /** `undecided`: it has not said yet what it speaks. */
  readonly carries: "http1" | "http2" | "bytes" | "undecided";
  readonly downstream: Downstream;
  /** Where all of it goes; of HTTP, each request goes its own way. */
  readonly endpoint?: Endpoint;
}

/** A connection as it is shown: it keeps nothing of the configuration that it began under. */
export interface StandingConnection extends Pick<ConnectionFacts, "carries"> {
  /** `Date.now()` at its beginning. */
  readonly since: number;
  readonly peer: Identity;
  readonly source: SocketAddress;
  readonly destination: Downstream["destination"];
  /** Absent for a workload's own address. */
  readonly hostname: string | undefined;
  readonly sni: string | undefined;
  readonly endpoint: { readonly uid: string; readonly address: SocketAddress } | undefined;
}

export class Connections {
  readonly #standing = new Map<ServerConnection, StandingConnection>();
  readonly #idleWaiters: (() => void)[] = [];
  /** Accepted, and not handed over to whoever serves it yet. */
  #undecided = 0;
  #draining = false;

  get size(): number {
    return this.#standing.size + this.#undecided;
  }

  /** Those whose client is known; what ends or begins meanwhile may be among them or not. */
  list(): Iterable<StandingConnection> {
    return this.#standing.values();
  }

  /** What comes while the others are drained is so, too. */
  add(connection: ServerConnection, facts: ConnectionFacts): void {
    this.#standing.set(connection, describe(facts));
    if (this.#draining) connection.drain();
  }

  delete(connection: ServerConnection): void {
    this.#standing.delete(connection);
    this.#tellIfIdle();
  }

  accepted(): void {
    this.#undecided++;
  }

  decided(): void {
    this.#undecided--;
    this.#tellIfIdle();
  }

  /** Each ends when what is under way on it is over. */
  drain(): void {
    this.#draining = true;
    for (const connection of [...this.#standing.keys()]) connection.drain();
  }

  destroy(): void {
    for (const connection of [...this.#standing.keys()]) connection.destroy();
  }

  /** Resolves when none is left, nor one on its way to be. */
  whenIdle(): Promise<void> {
    if (this.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  #tellIfIdle(): void {
    if (this.size > 0) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }
}

function describe({ carries, downstream, endpoint }: ConnectionFacts): StandingConnection {
  const { peer, source, destination, service, sni } = downstream;
  return {
    carries,
    since: Date.now(),
    ...{ peer, source, destination, sni },
    hostname: service?.hostname,
    endpoint: endpoint && { uid: endpoint.workload.uid, address: endpoint.address },
  };
}
