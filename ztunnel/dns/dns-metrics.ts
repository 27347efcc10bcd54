/**
 * Istio's DNS metrics (ambient.md F152; istio/ztunnel src/dns/metrics.rs), and counters of ours for
 * what was refused or thrown away.
 */
import { Counter, Histogram, type Registry } from "prom-client";
import type { Workload } from "#common/model/workload.ts";
import { DNS_SERIES } from "./limits.ts";
import { queryTypeName } from "./query-types.ts";

export type DnsTransport = "udp" | "tcp";

/** Bounds that a query or connection ran into. */
export type DnsBound = "pod-queries" | "node-queries" | "pod-connections" | "no-socket";

/** What was thrown away: no queries, answers that nobody asked for. */
export type DnsDiscard = "malformed-query" | "repeated-query" | "unexpected-answer";

export interface DnsLabels {
  readonly request_query_type: string;
  readonly request_protocol: DnsTransport;
  readonly source_canonical_service: string;
  readonly source_canonical_revision: string;
}

const LABELS = [
  "request_query_type",
  "request_protocol",
  "source_canonical_service",
  "source_canonical_revision",
];
/** Source: istio/ztunnel src/dns/metrics.rs. */
const DURATION_BUCKETS_S = [0.0005, 0.001, 0.01, 0.1, 1, 5];

export class DnsMetrics {
  readonly #requests: Counter;
  readonly #upstreamRequests: Counter;
  readonly #upstreamFailures: Counter;
  readonly #upstreamDuration: Histogram;
  readonly #limited: Counter;
  readonly #discarded: Counter;
  readonly #labels = new Map<string, DnsLabels>();

  constructor(registry: Registry) {
    const counter = (name: string, help: string, labelNames: string[]) =>
      new Counter({ name, help, labelNames, registers: [registry] });
    this.#requests = counter("istio_dns_requests_total", "DNS requests of captured pods", LABELS);
    this.#upstreamRequests = counter(
      "istio_dns_upstream_requests_total",
      "DNS requests forwarded to name servers",
      LABELS,
    );
    this.#upstreamFailures = counter(
      "istio_dns_upstream_failures_total",
      "DNS requests that no name server answered",
      LABELS,
    );
    this.#upstreamDuration = new Histogram({
      name: "istio_dns_upstream_request_duration_seconds",
      help: "Time to the name server's answer",
      labelNames: LABELS,
      buckets: DURATION_BUCKETS_S,
      registers: [registry],
    });
    this.#limited = counter(
      "ambient_dns_limited_total",
      "DNS requests answered SERVFAIL, or connections closed, because of a bound",
      ["bound"],
    );
    this.#discarded = counter("ambient_dns_discarded_total", "DNS messages thrown away", ["why"]);
  }

  /** The labels of a query, the same object for the same query type and source. */
  labels(
    queryType: number | undefined,
    transport: DnsTransport,
    source: Workload | undefined,
  ): DnsLabels {
    const service = source?.canonicalName || "unknown";
    const revision = source?.canonicalRevision || "unknown";
    const type = queryTypeName(queryType);
    const key = `${type}\n${transport}\n${service}\n${revision}`;
    const known = this.#labels.get(key);
    if (known !== undefined) return known;
    const full = this.#labels.size >= DNS_SERIES;
    const labels: DnsLabels = {
      request_query_type: type,
      request_protocol: transport,
      source_canonical_service: full ? "unknown" : service,
      source_canonical_revision: full ? "unknown" : revision,
    };
    if (!full) this.#labels.set(key, labels);
    return labels;
  }

  requested(labels: DnsLabels): void {
    this.#requests.inc({ ...labels });
  }

  forwarded(labels: DnsLabels): void {
    this.#upstreamRequests.inc({ ...labels });
  }

  /** A forwarded query has its answer, or will not get one. */
  settled(labels: DnsLabels, answered: boolean, durationMs: number): void {
    if (!answered) this.#upstreamFailures.inc({ ...labels });
    this.#upstreamDuration.observe({ ...labels }, durationMs / 1000);
  }

  limited(bound: DnsBound): void {
    this.#limited.inc({ bound });
  }

  discarded(why: DnsDiscard): void {
    this.#discarded.inc({ why });
  }
}
