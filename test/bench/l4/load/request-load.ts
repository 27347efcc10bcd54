/** Requests on open connections, at a fixed rate or as fast as the answers come. */
import { READABLE, SocketPoller } from "#ztunnel/sys/socket-poller.ts";
import { percentile } from "../statistics.ts";
import { Connections } from "./connections.ts";
import type { LoadOptions, LoadResult } from "./load-messages.ts";

/** How long answers are waited for after the last request; missing ones count as errors. */
const TAIL_MS = 2000;

/** Runs the load; `onMeasuring` is called when the warm-up is over. */
export function runRequests(options: LoadOptions, onMeasuring: () => void): LoadResult {
  const connections = new Connections(new SocketPoller(), options.connections);
  connections.openAll(options.target);
  const load =
    options.kind === "rate"
      ? new FixedRate(connections, options)
      : new ClosedLoop(connections, options);
  const result = load.run(onMeasuring);
  connections.closeAll();
  return result;
}

/** Sends requests and puts their answers together; what a request's turn is, subclasses say. */
abstract class RequestLoad {
  protected readonly options: LoadOptions;
  protected readonly connections: Connections;
  protected readonly poller: SocketPoller;
  protected errors = 0;
  readonly #request: Buffer;
  readonly #received = Buffer.allocUnsafeSlow(64 * 1024);
  /** Bytes that are missing to the answer, per connection. */
  readonly #missing: Int32Array;

  constructor(connections: Connections, options: LoadOptions) {
    this.connections = connections;
    this.poller = connections.poller;
    this.options = options;
    this.#request = Buffer.alloc(options.bytes, "x");
    this.#missing = new Int32Array(connections.count);
  }

  abstract run(onMeasuring: () => void): LoadResult;

  protected abstract onAnswer(connection: number): void;

  protected send(connection: number): void {
    const { bytes } = this.options;
    this.#missing[connection] = bytes;
    const fd = this.connections.fd(connection);
    if (fd < 0 || this.poller.send(fd, this.#request, bytes) !== bytes) this.#fail(connection);
  }

  protected get isWhole(): boolean {
    return this.errors === 0;
  }

  protected receive(fd: number, events: number): void {
    const connection = this.connections.numberOf(fd);
    if (connection < 0 || !(events & READABLE)) return;
    const bytes = this.poller.receive(fd, this.#received);
    if (bytes === 0) this.#fail(connection);
    if (bytes <= 0) return;
    const missing = (this.#missing[connection] ?? 0) - bytes;
    this.#missing[connection] = missing;
    if (missing === 0) this.onAnswer(connection);
  }

  /** A connection that ends is not opened again: one is enough to spoil the measurement. */
  #fail(connection: number): void {
    this.errors++;
    this.connections.close(connection);
  }
}

class ClosedLoop extends RequestLoad {
  #answers = 0;

  run(onMeasuring: () => void): LoadResult {
    const { warmUpMs, measureMs } = this.options;
    for (let connection = 0; connection < this.connections.count; connection++) {
      this.send(connection);
    }
    this.#runUntil(performance.now() + warmUpMs);
    onMeasuring();
    this.#answers = 0;
    const started = performance.now();
    this.#runUntil(started + measureMs);
    const elapsedMs = performance.now() - started;
    return { requests: this.#answers, errors: this.errors, elapsedMs };
  }

  protected onAnswer(connection: number): void {
    this.#answers++;
    this.send(connection);
  }

  #runUntil(end: number): void {
    while (this.isWhole && performance.now() < end) {
      const count = this.poller.wait(100);
      for (let i = 0; i < count; i++) this.receive(this.poller.fdAt(i), this.poller.eventsAt(i));
    }
  }
}

/**
 * Request n is due at start + n / rate, on connection n modulo the number of connections, and its
 * latency counts from then: one that waits for a slow answer before it on its connection waits on
 * the record.
 */
class FixedRate extends RequestLoad {
  readonly #periodMs: number;
  readonly #total: number;
  readonly #warmUp: number;
  readonly #latencies: Float64Array;
  readonly #due: Int32Array;
  readonly #sent: Int32Array;
  readonly #answered: Int32Array;
  #startMs = 0;
  #scheduled = 0;
  #recorded = 0;

  constructor(connections: Connections, options: LoadOptions) {
    super(connections, options);
    const { rate, warmUpMs, measureMs } = options;
    this.#periodMs = 1000 / rate;
    this.#warmUp = Math.round((warmUpMs * rate) / 1000);
    this.#total = this.#warmUp + Math.round((measureMs * rate) / 1000);
    this.#latencies = new Float64Array(this.#total - this.#warmUp);
    this.#due = new Int32Array(connections.count);
    this.#sent = new Int32Array(connections.count);
    this.#answered = new Int32Array(connections.count);
  }

  run(onMeasuring: () => void): LoadResult {
    const timer = this.poller.startTimer(this.#periodMs * 1e6);
    this.#startMs = performance.now();
    this.#runUntil(timer, this.#warmUp);
    onMeasuring();
    const measured = performance.now();
    this.#runUntil(timer, this.#total);
    const elapsedMs = performance.now() - measured;
    this.#awaitTail();
    this.poller.close(timer);
    return this.#result(elapsedMs);
  }

  protected onAnswer(connection: number): void {
    const answered = this.#answered[connection] ?? 0;
    this.#answered[connection] = answered + 1;
    const request = answered * this.connections.count + connection;
    if (request >= this.#warmUp) {
      const dueMs = this.#startMs + request * this.#periodMs;
      this.#latencies[this.#recorded++] = performance.now() - dueMs;
    }
    if ((this.#sent[connection] ?? 0) < (this.#due[connection] ?? 0)) this.#sendNext(connection);
  }

  #runUntil(timer: number, request: number): void {
    while (this.isWhole && this.#scheduled < request) {
      const count = this.poller.wait(100);
      for (let i = 0; i < count; i++) {
        const fd = this.poller.fdAt(i);
        if (fd === timer) this.#onTimer(timer);
        else this.receive(fd, this.poller.eventsAt(i));
      }
    }
  }

  #onTimer(timer: number): void {
    this.poller.clearTimer(timer);
    const now = performance.now();
    const { count } = this.connections;
    while (this.#scheduled < this.#total) {
      if (this.#startMs + this.#scheduled * this.#periodMs > now) return;
      const connection = this.#scheduled % count;
      this.#scheduled++;
      this.#due[connection] = (this.#due[connection] ?? 0) + 1;
      if (this.#sent[connection] === this.#answered[connection]) this.#sendNext(connection);
    }
  }

  #sendNext(connection: number): void {
    this.#sent[connection] = (this.#sent[connection] ?? 0) + 1;
    this.send(connection);
  }

  #awaitTail(): void {
    const deadline = performance.now() + TAIL_MS;
    while (this.isWhole && this.#recorded < this.#latencies.length) {
      if (performance.now() > deadline) break;
      const count = this.poller.wait(20);
      for (let i = 0; i < count; i++) this.receive(this.poller.fdAt(i), this.poller.eventsAt(i));
    }
  }

  #result(elapsedMs: number): LoadResult {
    const sorted = this.#latencies.slice(0, this.#recorded).sort();
    const latencyMs = {
      p50: percentile(sorted, 50),
      p90: percentile(sorted, 90),
      p99: percentile(sorted, 99),
    };
    const errors = this.#latencies.length - this.#recorded;
    return { requests: this.#recorded, errors, elapsedMs, latencyMs };
  }
}
