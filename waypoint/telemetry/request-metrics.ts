/**
 * Istio's metrics of requests. Counts are plain numbers per label set; Prometheus' text is made
 * when somebody scrapes.
 */
import { Counter, type Metric, type Registry } from "prom-client";
import type { Telemetry } from "#common/model/waypoint/policy.ts";
import type { RequestRecord } from "../proxy/request-record.ts";
import { isGrpc } from "../route/request-view.ts";
import { Distribution } from "./distribution.ts";
import { REMEMBERED_SERIES, REQUEST_SERIES } from "./limits.ts";
import { overflowLabels, requestLabels } from "./request-labels.ts";

// Envoy's default buckets, which Istio keeps: milliseconds, and powers of ten for bytes.
const DURATION_BUCKETS = [
  ...[0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000],
  ...[300_000, 600_000, 1_800_000, 3_600_000],
];
const BYTE_BUCKETS = Array.from({ length: 11 }, (_, i) => 10 ** i);

interface Series {
  readonly labels: Record<string, string>;
  requests: number;
  readonly duration: Distribution;
  readonly requestBytes: Distribution;
  readonly responseBytes: Distribution;
}

type Sizes = "duration" | "requestBytes" | "responseBytes";

export class RequestMetrics {
  readonly #series = new Map<string, Series>();
  /** By what the labels are made from, so that they are made once: per configuration. */
  readonly #known = new WeakMap<Telemetry, Map<string, Series>>();
  #overflowed = 0;

  constructor(registry: Registry) {
    this.#registerTotal(registry);
    const register = (name: string, help: string, sizes: Sizes): void =>
      this.#registerHistogram(registry, name, help, sizes);
    register("istio_request_duration_milliseconds", "Duration of requests", "duration");
    register("istio_request_bytes", "Bytes of request bodies", "requestBytes");
    register("istio_response_bytes", "Bytes of response bodies", "responseBytes");
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
    const key = JSON.stringify(labels);
    const found = this.#series.get(key);
    if (found !== undefined || this.#series.size >= REQUEST_SERIES) return found;
    return this.#add(key, labels);
  }

  #overflow(): Series {
    this.#overflowed++;
    return this.#series.get("overflow") ?? this.#add("overflow", overflowLabels());
  }

  #add(key: string, labels: Record<string, string>): Series {
    const series = {
      labels,
      requests: 0,
      duration: new Distribution(DURATION_BUCKETS),
      requestBytes: new Distribution(BYTE_BUCKETS),
      responseBytes: new Distribution(BYTE_BUCKETS),
    };
    this.#series.set(key, series);
    return series;
  }

  #registerTotal(registry: Registry): void {
    const read = () =>
      [...this.#series.values()].map(({ labels, requests }) => ({
        value: requests,
        labels: {},
        sharedLabels: labels,
      }));
    register(registry, "istio_requests_total", "Requests through the waypoint", "counter", read);
  }

  #registerHistogram(registry: Registry, name: string, help: string, sizes: Sizes): void {
    register(registry, name, help, "histogram", () =>
      [...this.#series.values()].flatMap((series) => histogramValues(name, series, sizes)),
    );
  }
}

interface Value {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly sharedLabels: Readonly<Record<string, string>>;
  readonly value: number;
}

function histogramValues(name: string, series: Series, sizes: Sizes): Value[] {
  const { labels: sharedLabels } = series;
  const distribution = series[sizes];
  const counts = distribution.cumulative();
  const buckets = counts.map((value, i): Value => {
    const le = `${distribution.bounds[i] ?? "+Inf"}`;
    return { metricName: `${name}_bucket`, labels: { le }, sharedLabels, value };
  });
  const rest = { labels: {}, sharedLabels };
  return [
    ...buckets,
    { metricName: `${name}_sum`, ...rest, value: distribution.sum },
    { metricName: `${name}_count`, ...rest, value: counts.at(-1) ?? 0 },
  ];
}

/** A metric of ours that prom-client prints: its own histograms cannot be filled from outside. */
function register(
  registry: Registry,
  name: string,
  help: string,
  type: "counter" | "histogram",
  read: () => readonly Value[],
): void {
  const get = () => Promise.resolve({ name, help, type, aggregator: "sum", values: read() });
  // What a registry asks of a metric is its name and `get`; the type names prom-client's classes.
  registry.registerMetric({ name, help, type, get, reset: () => undefined } as unknown as Metric);
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
