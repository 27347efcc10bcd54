/**
 * Istio's L4 traffic metrics (ambient.md F150, F151). Counters are plain numbers per label set; the
 * prom-client objects are filled when somebody scrapes, never while traffic flows.
 *
 * `sent` and `received` are the server's view for both reporters, as Istio has it (istio#32399):
 * received is what the client sent.
 */
import { Counter, type Registry } from "prom-client";
import { type ResponseFlag, responseFlag } from "#common/model/reason.ts";
import type { CarriedBytes, ConnectionLabels, ConnectionRecord } from "./connection-record.ts";
import { TRAFFIC_SERIES } from "./limits.ts";

/** Every traffic metric by the count it shows: name and help. */
const METRICS = {
  opened: ["istio_tcp_connections_opened_total", "TCP connections opened"],
  closed: ["istio_tcp_connections_closed_total", "TCP connections closed"],
  failed: ["istio_tcp_connections_failed_total", "TCP connections refused or broken"],
  received: ["istio_tcp_received_bytes_total", "Bytes that servers received from clients"],
  sent: ["istio_tcp_sent_bytes_total", "Bytes that servers sent to clients"],
} as const;

type Count = keyof typeof METRICS;
const COUNTS = Object.keys(METRICS) as Count[];

const SIDE_LABELS = [
  "workload",
  "canonical_service",
  "canonical_revision",
  "workload_namespace",
  "principal",
  "app",
  "version",
  "cluster",
  "region",
  "zone",
] as const;

export const TRAFFIC_LABELS: readonly string[] = [
  "reporter",
  ...SIDE_LABELS.map((label) => `source_${label}`),
  ...SIDE_LABELS.map((label) => `destination_${label}`),
  "destination_service",
  "destination_service_namespace",
  "destination_service_name",
  "request_protocol",
  "response_flags",
  "connection_security_policy",
];

type Series = { readonly labels: Record<string, string> } & Record<Count, number>;

export class TrafficMetrics {
  readonly #series = new Map<string, Series>();
  readonly #known = new WeakMap<ConnectionLabels, Map<ResponseFlag, Series>>();
  #overflowed = 0;

  constructor(registry: Registry) {
    for (const count of COUNTS) this.#register(registry, count);
    const overflow = new Counter({
      name: "ambient_traffic_series_overflow_total",
      help: "Records counted under unknown labels because the bound of label sets was reached",
      registers: [registry],
      collect: () => {
        overflow.reset();
        overflow.inc(this.#overflowed);
      },
    });
  }

  record(record: ConnectionRecord, labels: ConnectionLabels): void {
    switch (record.event) {
      case "opened":
        this.#seriesOf(labels, "-").opened++;
        return;
      case "bytes":
        this.#carried(this.#seriesOf(labels, "-"), record.delta);
        return;
      case "closed":
      case "refused":
        this.#finished(record, labels);
        return;
    }
  }

  #finished(
    record: Extract<ConnectionRecord, { event: "closed" | "refused" }>,
    labels: ConnectionLabels,
  ): void {
    const flag = responseFlag(record.failure?.reason);
    const series = this.#seriesOf(labels, flag);
    // Bytes belong to the series that earlier records of this connection went to.
    const begun = this.#seriesOf(labels, "-");
    this.#carried(begun, record.delta);
    // As Istio counts: whatever is closed was opened, so the difference is what is open now.
    if (record.event === "refused" || record.opened === true) begun.opened++;
    series.closed++;
    if (record.event === "refused" || flag !== "-") series.failed++;
  }

  #carried(series: Series, delta: CarriedBytes): void {
    series.received += delta.fromClient;
    series.sent += delta.fromServer;
  }

  /** Records of one label set share its object: its series are looked up by name only once. */
  #seriesOf(labels: ConnectionLabels, flag: ResponseFlag): Series {
    const byFlag = this.#known.get(labels) ?? new Map<ResponseFlag, Series>();
    const known = byFlag.get(flag);
    if (known !== undefined) return known;
    const series = this.#find(labels, flag);
    this.#known.set(labels, byFlag.set(flag, series));
    return series;
  }

  #find(labels: ConnectionLabels, flag: ResponseFlag): Series {
    const values = labelValues(labels, flag);
    const key = Object.values(values).join("\u0000");
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    if (this.#series.size >= TRAFFIC_SERIES) return this.#overflowSeries(labels.reporter, flag);
    return this.#add(key, values);
  }

  #overflowSeries(reporter: string, flag: ResponseFlag): Series {
    this.#overflowed++;
    const key = `overflow\u0000${reporter}\u0000${flag}`;
    const values = Object.fromEntries(TRAFFIC_LABELS.map((label) => [label, "unknown"]));
    return this.#series.get(key) ?? this.#add(key, { ...values, reporter, response_flags: flag });
  }

  #add(key: string, labels: Record<string, string>): Series {
    const series: Series = { labels, opened: 0, closed: 0, failed: 0, received: 0, sent: 0 };
    this.#series.set(key, series);
    return series;
  }

  #register(registry: Registry, count: Count): void {
    const [name, help] = METRICS[count];
    const counter = new Counter({
      name,
      help,
      labelNames: [...TRAFFIC_LABELS],
      registers: [registry],
      collect: () => {
        counter.reset();
        for (const series of this.#series.values()) {
          if (series[count] > 0) counter.inc(series.labels, series[count]);
        }
      },
    });
  }
}

function labelValues(labels: ConnectionLabels, flag: ResponseFlag): Record<string, string> {
  const { service } = labels;
  return {
    reporter: labels.reporter,
    ...sideValues("source", labels.source),
    ...sideValues("destination", labels.destination),
    destination_service: orUnknown(service?.hostname),
    destination_service_namespace: orUnknown(service?.namespace),
    destination_service_name: orUnknown(service?.name),
    request_protocol: "tcp",
    response_flags: flag,
    connection_security_policy: labels.security,
  };
}

function sideValues(
  side: "source" | "destination",
  endpoint: ConnectionLabels["source"],
): Record<string, string> {
  return {
    [`${side}_workload`]: orUnknown(endpoint.workload),
    [`${side}_canonical_service`]: orUnknown(endpoint.canonicalService),
    [`${side}_canonical_revision`]: orUnknown(endpoint.canonicalRevision),
    [`${side}_workload_namespace`]: orUnknown(endpoint.namespace),
    [`${side}_principal`]: orUnknown(endpoint.principal),
    [`${side}_app`]: orUnknown(endpoint.canonicalService),
    [`${side}_version`]: orUnknown(endpoint.canonicalRevision),
    [`${side}_cluster`]: orUnknown(endpoint.cluster),
    [`${side}_region`]: orUnknown(endpoint.region),
    [`${side}_zone`]: orUnknown(endpoint.zone),
  };
}

/** Istio's word for a label without a value. */
function orUnknown(text: string | undefined): string {
  return text === undefined || text === "" ? "unknown" : text;
}
