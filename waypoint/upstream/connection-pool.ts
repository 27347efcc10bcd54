/**
 * The connections to one endpoint that speak one protocol. HTTP/1.1 carries one request at a time,
 * the connection used last is taken first; HTTP/2 carries as many as both sides allow.
 */
import type { UpstreamConnection, UpstreamHandlers } from "../http/engine.ts";
import type { Circuit } from "./circuit.ts";
import { IDLE_CONNECTION_MS } from "./limits.ts";
import { connectFailure, overflow } from "./replies.ts";
import type { Endpoint, LeaseRefusal } from "./upstream.ts";

/** A connection that has been made. */
export interface Opened {
  readonly endpoint: Endpoint;
  readonly connect: (handlers: UpstreamHandlers) => UpstreamConnection;
  /** As that of its wire. */
  readonly onRetired: (listener: () => void) => () => void;
}

export interface PoolEnvironment {
  readonly circuit: Circuit;
  /** Requests that wait for one connection before another is made. */
  readonly perOpening: number;
  readonly now: () => number;
  /** Never rejects; has its own timeout. */
  readonly open: () => Promise<Opened | LeaseRefusal>;
}

export class PooledConnection {
  readonly endpoint: Endpoint;
  readonly connection: UpstreamConnection;
  leases = 0;
  served = 0;
  idleSince: number;
  /** Takes no further requests. */
  retired = false;
  isReady = false;

  constructor(endpoint: Endpoint, connection: UpstreamConnection, now: number) {
    this.endpoint = endpoint;
    this.connection = connection;
    this.idleSince = now;
  }
}

interface Waiter {
  readonly grant: (result: PooledConnection | LeaseRefusal) => void;
}

export class ConnectionPool {
  readonly #environment: PoolEnvironment;
  readonly #connections = new Set<PooledConnection>();
  /** With room for a request; the last is taken first. What is no longer true is dropped then. */
  readonly #ready: PooledConnection[] = [];
  readonly #waiters = new Set<Waiter>();
  #opening = 0;
  #drained = false;

  constructor(environment: PoolEnvironment) {
    this.#environment = environment;
  }

  get size(): number {
    return this.#connections.size + this.#opening;
  }

  get connections(): Iterable<PooledConnection> {
    return this.#connections;
  }

  /** `signal` is asked for only where there is a wait, which it ends. */
  acquire(signal: () => AbortSignal): PooledConnection | Promise<PooledConnection | LeaseRefusal> {
    const ready = this.#takeReady();
    if (ready !== undefined) return ready;
    const { circuit } = this.#environment;
    if (!circuit.mayWait) return Promise.resolve(overflow("maxPendingRequests"));
    return new Promise((resolve) => this.#wait(signal(), resolve));
  }

  /** The request on it is over. */
  release(connection: PooledConnection): void {
    connection.leases--;
    this.#settle(connection);
  }

  /** Takes no more requests; those under way are finished. */
  drain(refusal: LeaseRefusal): void {
    this.#drained = true;
    for (const connection of this.#connections) this.#retire(connection);
    for (const waiter of this.#waiters) waiter.grant(refusal);
  }

  /** Closes what nobody has used for long. */
  sweep(): void {
    const { circuit, now } = this.#environment;
    const oldest = now() - (circuit.policy.idleTimeoutMs ?? IDLE_CONNECTION_MS);
    for (const connection of this.#connections) {
      if (connection.leases === 0 && connection.idleSince <= oldest) this.#retire(connection);
    }
  }

  #wait(signal: AbortSignal, resolve: (result: PooledConnection | LeaseRefusal) => void): void {
    const { circuit } = this.#environment;
    const waiter: Waiter = {
      grant: (result) => {
        if (!this.#waiters.delete(waiter)) return;
        circuit.pending--;
        signal.removeEventListener("abort", onAbort);
        resolve(result);
      },
    };
    const onAbort = (): void => waiter.grant(overflow("nobody waits any more"));
    circuit.pending++;
    this.#waiters.add(waiter);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    this.#openEnough();
  }

  /** A backend that may have no more connections still gets its first to an endpoint. */
  #openEnough(): void {
    const { circuit, perOpening } = this.#environment;
    while (this.#waiters.size > this.#opening * perOpening) {
      if (!circuit.mayConnect && this.size > 0) return;
      void this.#open();
    }
  }

  async #open(): Promise<void> {
    const { circuit, open } = this.#environment;
    circuit.connections++;
    this.#opening++;
    const opened = await open();
    this.#opening--;
    if ("connect" in opened) {
      this.#add(opened);
      return;
    }
    circuit.connections--;
    this.#failWaiters(opened);
  }

  /** Each failure ends one wait; where nothing else is left to wait for, all of them. */
  #failWaiters(refusal: LeaseRefusal): void {
    const last = this.size === 0;
    for (const waiter of this.#waiters) {
      waiter.grant(refusal);
      if (!last) break;
    }
    if (!this.#drained) this.#openEnough();
  }

  #add({ endpoint, connect, onRetired }: Opened): void {
    const { circuit, now } = this.#environment;
    const slot: { pooled?: PooledConnection; closed: boolean } = { closed: false };
    const unlisten = onRetired(() => slot.pooled && this.#retire(slot.pooled));
    const connection = connect({
      onIdle: () => {
        if (slot.pooled !== undefined) this.#settle(slot.pooled);
      },
      onClosed: () => {
        slot.closed = true;
        unlisten();
        if (slot.pooled !== undefined) this.#closed(slot.pooled);
      },
    });
    if (slot.closed) {
      circuit.connections--;
      this.#failWaiters(connectFailure("the connection closed as soon as it was made", endpoint));
      return;
    }
    const pooled = new PooledConnection(endpoint, connection, now());
    slot.pooled = pooled;
    this.#connections.add(pooled);
    if (this.#drained) this.#retire(pooled);
    else this.#settle(pooled);
  }

  #closed(connection: PooledConnection): void {
    connection.retired = true;
    if (!this.#connections.delete(connection)) return;
    this.#environment.circuit.connections--;
    if (!this.#drained) this.#openEnough();
  }

  /** Gives its room to those who wait. */
  #settle(connection: PooledConnection): void {
    if (connection.retired) {
      this.#retire(connection);
      return;
    }
    for (const waiter of this.#waiters) {
      if (!this.#hasRoom(connection)) break;
      waiter.grant(this.#lease(connection));
    }
    if (connection.connection.exhausted) this.#retire(connection);
    else if (!connection.isReady && this.#hasRoom(connection)) {
      connection.isReady = true;
      this.#ready.push(connection);
    }
    if (connection.leases === 0) connection.idleSince = this.#environment.now();
  }

  #takeReady(): PooledConnection | undefined {
    for (;;) {
      const last = this.#ready.at(-1);
      if (last === undefined) return undefined;
      if (this.#hasRoom(last)) {
        const leased = this.#lease(last);
        if (!this.#hasRoom(last)) this.#unready();
        return leased;
      }
      this.#unready();
    }
  }

  #unready(): void {
    const connection = this.#ready.pop();
    if (connection !== undefined) connection.isReady = false;
  }

  #lease(connection: PooledConnection): PooledConnection {
    connection.leases++;
    connection.served++;
    return connection;
  }

  #hasRoom({ retired, connection, leases, served }: PooledConnection): boolean {
    const { maxRequestsPerConnection: most = 0 } = this.#environment.circuit.policy;
    if (retired || connection.exhausted || (most > 0 && served >= most)) return false;
    return Math.max(leases, connection.active) < connection.capacity;
  }

  #retire(connection: PooledConnection): void {
    connection.retired = true;
    // It closes when nothing is under way; a lease that has not sent its request yet still may.
    if (connection.leases === 0) connection.connection.close();
  }
}
