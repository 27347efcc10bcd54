/**
 * Istio's metrics of requests. Counts are plain numbers per label set; Prometheus' text is made
 * when somebody scrapes.
 */
import { Counter, type Registry } from "prom-client";
import type { Telemetry } from "#common/model/waypoint/policy.ts";
import type { RequestRecord } from "../proxy/request-record.ts";
import { isGrpc } from "../route/request-view.ts";
import { Distribution } from "./distribution.ts";
import { REMEMBERED_SERIES, REQUEST_SERIES } from "./limits.ts";
import { overflowLabels, requestLabels } from "./request-labels.ts";
import { labelText, printCounter, printHistogram, registerSliced } from "./sliced-metric.ts";

// Envoy's default buckets, which Istio keeps: milliseconds, and powers of ten for bytes.
const DURATION_BUCKETS = [
  ...[0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000],
  ...[300_000, 600_000, 1_800_000, 3_600_000],
];
const BYTE_BUCKETS = Array.from({ length: 11 }, (_, i) => 10 ** i);

interface Series {
  /** As they are printed. */
  readonly labels: string;
  requests: number;
  readonly duration: Distribution;
  readonly requestBytes: Distribution;
  readonly responseBytes: Distribution;
}

const HISTOGRAMS = [
  { name: "istio_request_duration_milliseconds", help: "Duration of requests", sizes: "duration" },
  { name: "istio_request_bytes", help: "Bytes of request bodies", sizes: "requestBytes" },
  { name: "istio_response_bytes", help: "Bytes of response bodies", sizes: "responseBytes" },
] as const;

export class RequestMetrics {
  readonly #series = new Map<string, Series>();
  /** By what the labels are made from, so that they are made once: per configuration. */
  readonly #known = new WeakMap<Telemetry, Map<string, Series>>();
  #overflowed = 0;

  constructor(registry: Registry) {
    const series = () => this.#series.values();
    registerSliced<Series>(registry, {
      name: "istio_requests_total",
      help: "Requests through the waypoint",
      type: "counter",
      series,
      print: (name, { labels, requests }) => printCounter(name, labels, requests),
    });
    for (const { name, help, sizes } of HISTOGRAMS) {
      const print = (metric: string, one: Series) => printHistogram(metric, one.labels, one[sizes]);
      registerSliced<Series>(registry, { name, help, type: "histogram", series, print });
    }
    const overflow = new Counter({
      name: "ambient_request_series_overflow_total",
      help: "Requests counted under unknown labels because the bound of label sets was reached",
      registers: [registry],
      collect: () => {
        overflow.reset();
        overflow.inc(this.#overflowed);
      },
    });
  }

  record(record: RequestRecord, telemetry: Telemetry): void {
    if (!telemetry.metrics.enabled) return;
    const series = this.#seriesOf(record, telemetry);
    series.requests++;
    series.duration.observe(record.durationMs);
    series.requestBytes.observe(record.requestBytes);
    series.responseBytes.observe(record.responseBytes);
  }

  #seriesOf(record: RequestRecord, telemetry: Telemetry): Series {
    let known = this.#known.get(telemetry);
    if (known === undefined) {
      known = new Map();
      this.#known.set(telemetry, known);
    }
    const origin = originKey(record);
    let series = known.get(origin);
    if (series === undefined) {
      if (known.size >= REMEMBERED_SERIES) known.clear();
      series = this.#find(requestLabels(record, telemetry.metrics.removedLabels));
      if (series !== undefined) known.set(origin, series);
    }
    return series ?? this.#overflow();
  }

  /** Undefined where it would be one too many. */
  #find(labels: Record<string, string>): Series | undefined {
    const text = labelText(labels);
    const found = this.#series.get(text);
    if (found !== undefined || this.#series.size >= REQUEST_SERIES) return found;
    return this.#add(text);
  }

  #overflow(): Series {
    this.#overflowed++;
    const text = labelText(overflowLabels());
    return this.#series.get(text) ?? this.#add(text);
  }

  #add(labels: string): Series {
    const series = {
      labels,
      requests: 0,
      duration: new Distribution(DURATION_BUCKETS),
      requestBytes: new Distribution(BYTE_BUCKETS),
      responseBytes: new Distribution(BYTE_BUCKETS),
    };
    this.#series.set(labels, series);
    return series;
  }
}

/** Everything that labels are made from. */
function originKey(record: RequestRecord): string {
  const { context, endpoint, backend, status, grpcStatus, flags } = record;
  const { peer, sourceWorkload, service } = context.downstream;
  const source = `${peer.uri} ${sourceWorkload?.uid ?? ""}`;
  const destination = `${endpoint?.workload.uid ?? ""} ${endpoint?.transport ?? ""}`;
  const asked = `${service?.namespace ?? ""}/${service?.hostname ?? ""}`;
  const answered = `${backend?.namespace ?? ""}/${backend?.hostname ?? ""}`;
  const outcome = `${status} ${grpcStatus ?? ""} ${flags.join()} ${isGrpc(context.head)}`;
  return `${source} ${destination} ${asked} ${answered} ${outcome}`;
}
