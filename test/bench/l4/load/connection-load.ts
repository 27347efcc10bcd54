/** Loads that are about connections themselves: making many, and keeping many. */
import { MeshError } from "#common/runtime/errors.ts";
import { BROKEN, READABLE, SocketPoller, WRITABLE } from "#ztunnel/sys/socket-poller.ts";
import { Connections } from "./connections.ts";
import type { LoadOptions, LoadResult } from "./load-messages.ts";

/** Errors beyond this end the load: something is broken, and retrying would only spin. */
const ERRORS_MAX = 100;
/** Connections that are being made at once by `hold`. */
const OPENING_MAX = 64;
const HOLD_TIMEOUT_MS = 60_000;
const STDIN = 0;

/** One request on a fresh connection each time; answers per connection are `bytes` long. */
class Exchange {
  readonly connections: Connections;
  readonly #options: LoadOptions;
  readonly #request: Buffer;
  readonly #received = Buffer.allocUnsafeSlow(64 * 1024);
  readonly #missing: Int32Array;
  errors = 0;

  constructor(options: LoadOptions) {
    this.connections = new Connections(new SocketPoller(512), options.connections);
    this.#options = options;
    this.#request = Buffer.alloc(options.bytes, "x");
    this.#missing = new Int32Array(options.connections).fill(-1);
  }

  /** Connects; the request goes out as soon as it can. */
  start(connection: number): void {
    this.#missing[connection] = -1;
    if (!this.connections.open(connection, this.#options.target)) {
      throw new MeshError("EADDRNOTAVAIL", "no local port is free any more", {
        hint: "widen net.ipv4.ip_local_port_range, or reuse ports (net.ipv4.tcp_tw_reuse)",
      });
    }
  }

  /** What an event did: the answer is complete, the connection is lost, or neither yet. */
  advance(connection: number, fd: number, events: number): "answered" | "lost" | "waiting" {
    const { poller } = this.connections;
    const { bytes } = this.#options;
    if (this.#missing[connection] === -1) {
      if (events & BROKEN) return "lost";
      if (!(events & WRITABLE)) return "waiting";
      if (poller.send(fd, this.#request, bytes) !== bytes) return "lost";
      this.#missing[connection] = bytes;
      return "waiting";
    }
    if (!(events & (READABLE | BROKEN))) return "waiting";
    const received = poller.receive(fd, this.#received);
    if (received < 0) return "waiting";
    if (received === 0) return "lost";
    const missing = (this.#missing[connection] ?? 0) - received;
    this.#missing[connection] = missing;
    return missing === 0 ? "answered" : "waiting";
  }

  isAnswered(connection: number): boolean {
    return this.#missing[connection] === 0;
  }

  lost(connection: number): void {
    this.connections.close(connection);
    this.errors++;
    if (this.errors <= ERRORS_MAX) return;
    const { ip, port } = this.#options.target;
    throw new MeshError("TOO_MANY_ERRORS", `${this.errors} connections to ${ip}:${port} failed`);
  }
}

/** Connect, request, answer, close, and again, on each connection's place. */
export function runConnects(options: LoadOptions, onMeasuring: () => void): LoadResult {
  const exchange = new Exchange(options);
  let answers = 0;
  const onEvent = (connection: number, fd: number, events: number): void => {
    const outcome = exchange.advance(connection, fd, events);
    if (outcome === "waiting") return;
    if (outcome === "lost") exchange.lost(connection);
    else {
      answers++;
      exchange.connections.close(connection);
    }
    exchange.start(connection);
  };
  for (let connection = 0; connection < options.connections; connection++) {
    exchange.start(connection);
  }
  runUntil(exchange.connections, performance.now() + options.warmUpMs, onEvent);
  onMeasuring();
  answers = 0;
  exchange.errors = 0;
  const started = performance.now();
  runUntil(exchange.connections, started + options.measureMs, onEvent);
  const elapsedMs = performance.now() - started;
  exchange.connections.closeAll();
  return { requests: answers, errors: exchange.errors, elapsedMs };
}

/**
 * Opens all, exchanges one request on each, calls `onMeasuring`, and waits until standard input
 * ends.
 */
export function runHold(options: LoadOptions, onMeasuring: () => void): LoadResult {
  const exchange = new Exchange(options);
  const { connections } = exchange;
  const started = performance.now();
  openAndExchange(exchange, options.connections, started + HOLD_TIMEOUT_MS);
  onMeasuring();
  connections.poller.watchReadable(STDIN);
  const lost = holdUntilInputEnds(connections);
  connections.closeAll();
  const elapsedMs = performance.now() - started;
  return { requests: options.connections, errors: lost, elapsedMs };
}

function openAndExchange(exchange: Exchange, wanted: number, deadline: number): void {
  let opened = 0;
  let held = 0;
  while (held < wanted) {
    while (opened < wanted && opened - held < OPENING_MAX) exchange.start(opened++);
    runOnce(exchange.connections, (connection, fd, events) => {
      const wasHeld = exchange.isAnswered(connection);
      const outcome = exchange.advance(connection, fd, events);
      if (outcome === "answered") held++;
      if (outcome !== "lost") return;
      if (wasHeld) held--;
      exchange.lost(connection);
      exchange.start(connection);
    });
    if (performance.now() > deadline) {
      throw new MeshError(
        "HOLD_TIMEOUT",
        `only ${held} of ${wanted} connections were made in time`,
      );
    }
  }
}

/** How many connections ended before the input did. */
function holdUntilInputEnds(connections: Connections): number {
  const { poller } = connections;
  let lost = 0;
  for (;;) {
    const count = poller.wait(-1);
    for (let i = 0; i < count; i++) {
      const fd = poller.fdAt(i);
      if (fd === STDIN) return lost;
      const connection = connections.numberOf(fd);
      if (connection < 0) continue;
      lost++;
      connections.close(connection);
    }
  }
}

type OnEvent = (connection: number, fd: number, events: number) => void;

function runUntil(connections: Connections, end: number, onEvent: OnEvent): void {
  while (performance.now() < end) runOnce(connections, onEvent);
}

function runOnce(connections: Connections, onEvent: OnEvent): void {
  const { poller } = connections;
  const count = poller.wait(100);
  for (let i = 0; i < count; i++) {
    const fd = poller.fdAt(i);
    const connection = connections.numberOf(fd);
    if (connection >= 0) onEvent(connection, fd, poller.eventsAt(i));
  }
}
