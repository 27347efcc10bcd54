/**
 * What becomes of requests that are over: metrics, the access log, spans. The request's path only
 * puts its record into a queue; the work is done in turns of its own.
 */
import { Counter, type Registry } from "prom-client";
import type { Telemetry } from "#common/model/waypoint/policy.ts";
import type { RequestContext } from "../filter/stage.ts";
import type { RequestRecord, RequestSink } from "../proxy/request-record.ts";
import { formatRequest } from "./access-log.ts";
import type { Collector } from "./collector-client.ts";
import { RECORD_DELAY_MS, RECORD_QUEUE, RECORDS_PER_TURN } from "./limits.ts";
import { RequestMetrics } from "./request-metrics.ts";
import { makeResource, makeSpan, type Span, type TracedProxy } from "./span.ts";
import { joinTrace, type SpanIds, type TraceDependencies } from "./trace-context.ts";

export interface RequestTelemetryDeps extends TraceDependencies {
  readonly registry: Registry;
  /** Takes `lines` whole lines. */
  readonly writeLog: (text: string, lines: number) => void;
  readonly exporter: { readonly add: (collector: Collector, span: Span) => void };
  readonly proxy: TracedProxy;
}

export class RequestTelemetry {
  readonly #deps: RequestTelemetryDeps;
  readonly #metrics: RequestMetrics;
  readonly #dropped: Counter;
  readonly #resource: Span["resource"];
  readonly #traces = new WeakMap<RequestContext, SpanIds>();
  readonly #queue: RequestRecord[] = [];
  #timer: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;

  constructor(deps: RequestTelemetryDeps) {
    this.#deps = deps;
    this.#metrics = new RequestMetrics(deps.registry);
    this.#resource = makeResource(deps.proxy);
    this.#dropped = new Counter({
      name: "ambient_request_records_dropped_total",
      help: "Requests without a log line and a span, because too many waited to be logged",
      registers: [deps.registry],
    });
  }

  /**
   * The first `Stage`, so that answers of later ones belong to the trace, too. Where nothing is
   * traced the client's headers go on untouched.
   */
  readonly stage = (context: RequestContext): undefined => {
    const { tracing } = telemetryOf(context);
    if (tracing === undefined) return undefined;
    const { headers } = context.head;
    this.#traces.set(context, joinTrace(headers, tracing.samplingPercent, this.#deps));
    return undefined;
  };

  readonly sink: RequestSink = (record) => {
    const waiting = this.#queue.length;
    if (waiting >= RECORD_QUEUE) {
      this.#metrics.record(record, telemetryOf(record.context));
      this.#dropped.inc();
      return;
    }
    this.#queue.push(record);
    if (waiting + 1 >= RECORDS_PER_TURN) this.#turn ??= setImmediate(() => this.#takeTurn());
    else this.#timer ??= setTimeout(() => this.#takeTurn(), RECORD_DELAY_MS);
  };

  /** Works off all that waits, such as before a scrape or the end. */
  flush(): void {
    while (this.#queue.length > 0) this.#work();
    this.#rest();
  }

  #takeTurn(): void {
    this.#work();
    this.#rest();
  }

  /** Waits for the next records, or goes on in the next round. */
  #rest(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#turn);
    this.#timer = undefined;
    this.#turn = undefined;
    if (this.#queue.length > 0) this.#turn = setImmediate(() => this.#takeTurn());
  }

  #work(): void {
    let text = "";
    let lines = 0;
    for (const record of this.#queue.splice(0, RECORDS_PER_TURN)) {
      const line = this.#observe(record);
      if (line === undefined) continue;
      text += line;
      lines++;
    }
    if (lines > 0) this.#deps.writeLog(text, lines);
  }

  /** The record's line of the access log, where it gets one. */
  #observe(record: RequestRecord): string | undefined {
    const telemetry = telemetryOf(record.context);
    this.#metrics.record(record, telemetry);
    const trace = this.#traces.get(record.context);
    const { tracing, accessLog } = telemetry;
    if (tracing !== undefined && trace?.sampled === true) {
      const { proxy, exporter } = this.#deps;
      const span = makeSpan(record, trace, tracing.customTags, proxy, this.#resource);
      exporter.add(tracing, span);
    }
    if (!accessLog.enabled || record.status < (accessLog.filter?.minimumStatus ?? 0)) {
      return undefined;
    }
    return formatRequest(record, accessLog.format, trace?.traceId);
  }
}

/** The service's own where it has one. */
export function telemetryOf({ downstream, gateway }: RequestContext): Telemetry {
  return downstream.service?.telemetry ?? gateway.telemetry;
}
