/**
 * Sends spans to collectors in batches, one at a time to each. Nothing is sent twice: what a
 * collector did not take is lost, and counted.
 */
import { describeError } from "#common/runtime/errors.ts";
import type { CallService } from "../filter/service-caller.ts";
import { type Collector, sendSpans } from "./collector-client.ts";
import { COLLECTORS, EXPORT_DELAY_MS, SPAN_QUEUE, SPANS_PER_EXPORT } from "./limits.ts";
import type { Span } from "./span.ts";

export interface SpanExporterDeps {
  readonly call: CallService;
  readonly onDropped: (spans: number, why: string) => void;
}

export class SpanExporter {
  readonly #deps: SpanExporterDeps;
  readonly #queues = new Map<string, CollectorQueue>();

  constructor(deps: SpanExporterDeps) {
    this.#deps = deps;
  }

  add(collector: Collector, span: Span): void {
    this.#queueOf(collector).add(span);
  }

  /** Sends what waits; resolves when all of it was taken or lost. */
  async flush(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.flush()));
  }

  close(): void {
    for (const queue of this.#queues.values()) queue.close();
    this.#queues.clear();
  }

  #queueOf(collector: Collector): CollectorQueue {
    const { protocol, namespace, hostname, port } = collector;
    const key = `${protocol} ${namespace}/${hostname}:${port}`;
    const known = this.#queues.get(key);
    if (known !== undefined) return known;
    const [oldest] = this.#queues.keys();
    if (this.#queues.size >= COLLECTORS && oldest !== undefined) {
      this.#queues.get(oldest)?.close();
      this.#queues.delete(oldest);
    }
    const queue = new CollectorQueue(collector, this.#deps);
    this.#queues.set(key, queue);
    return queue;
  }
}

class CollectorQueue {
  readonly #collector: Collector;
  readonly #deps: SpanExporterDeps;
  #spans: Span[] = [];
  /** Left out since that was last told. */
  #overflowed = 0;
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;

  constructor(collector: Collector, deps: SpanExporterDeps) {
    this.#collector = collector;
    this.#deps = deps;
  }

  add(span: Span): void {
    if (this.#spans.length >= SPAN_QUEUE) {
      this.#overflowed++;
      return;
    }
    this.#spans.push(span);
    this.#timer ??= setTimeout(() => void this.flush(), EXPORT_DELAY_MS).unref();
  }

  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
      this.#timer = undefined;
    });
    return this.#sending;
  }

  close(): void {
    clearTimeout(this.#timer);
    if (this.#spans.length > 0) this.#deps.onDropped(this.#spans.length, "the exporter closed");
    this.#spans = [];
  }

  async #sendAll(): Promise<void> {
    while (this.#spans.length > 0) {
      const batch = this.#spans.splice(0, SPANS_PER_EXPORT);
      try {
        await this.#send(batch);
      } catch (error) {
        this.#deps.onDropped(batch.length, describeError(error));
      }
    }
    if (this.#overflowed === 0) return;
    this.#deps.onDropped(this.#overflowed, "too many spans waited for the collector");
    this.#overflowed = 0;
  }

  async #send(batch: Span[]): Promise<void> {
    // Loaded only where somebody traces: it takes as much memory as the proxy's own code.
    const { ProtobufTraceSerializer } = await import("@opentelemetry/otlp-transformer");
    const body = ProtobufTraceSerializer.serializeRequest(batch);
    if (body === undefined) return;
    const why = await sendSpans(this.#deps.call, this.#collector, body);
    if (why === undefined) return;
    const { namespace, hostname, port } = this.#collector;
    this.#deps.onDropped(
      batch.length,
      `${namespace}/${hostname}:${port} did not take them: ${why}`,
    );
  }
}
