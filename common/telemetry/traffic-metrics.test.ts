import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "prom-client";
import { TRAFFIC_SERIES } from "./limits.ts";
import { connectionLabels, endpoint, finished } from "./test-connections.ts";
import { TRAFFIC_LABELS, TrafficMetrics } from "./traffic-metrics.ts";

function metrics() {
  const registry = new Registry();
  const traffic = new TrafficMetrics(registry);
  /** Sum of the samples of a metric whose labels include `wanted`. */
  const total = async (name: string, wanted: Record<string, string> = {}) => {
    const all = await registry.getMetricsAsJSON();
    const samples = all.find((metric) => metric.name === name)?.values ?? [];
    return samples
      .filter(({ labels }) => Object.entries(wanted).every(([key, value]) => labels[key] === value))
      .reduce((sum, { value }) => sum + value, 0);
  };
  return { registry, traffic, total };
}

test("Istio's names and labels, every label present, what is not known as unknown", async () => {
  const { registry, traffic } = metrics();
  const labels = connectionLabels({ source: endpoint("", { canonicalRevision: "", region: "" }) });
  traffic.record({ event: "opened", labels: 1 }, labels);
  traffic.record(finished(), labels);
  const text = await registry.metrics();
  const line = text
    .split("\n")
    .find((row) => row.startsWith("istio_tcp_connections_opened_total{"));
  const found = Object.fromEntries(
    [...(line ?? "").matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key, value]),
  );
  assert.deepEqual(Object.keys(found).sort(), [...TRAFFIC_LABELS].sort());
  assert.equal(Object.keys(found).length, 27);
  assert.equal(found.source_workload, "unknown");
  assert.equal(found.source_version, "unknown");
  assert.equal(found.destination_app, "db");
  assert.equal(found.destination_principal, "spiffe://cluster.local/ns/shop/sa/db");
  assert.equal(found.destination_service_name, "db");
  assert.equal(found.request_protocol, "tcp");
  assert.equal(found.response_flags, "-");
  assert.equal(found.connection_security_policy, "mutual_tls");
});

test("received is what the client sent, for both reporters", async () => {
  for (const reporter of ["source", "destination"] as const) {
    const { traffic, total } = metrics();
    const labels = connectionLabels({ reporter });
    traffic.record({ event: "opened", labels: 1 }, labels);
    traffic.record({ event: "bytes", labels: 1, delta: { fromClient: 5, fromServer: 7 } }, labels);
    traffic.record(finished({ delta: { fromClient: 10, fromServer: 20 } }), labels);
    assert.equal(await total("istio_tcp_received_bytes_total", { reporter }), 15);
    assert.equal(await total("istio_tcp_sent_bytes_total", { reporter }), 27);
  }
});

test("a connection that was over before it was told of counts as opened and closed", async () => {
  const { traffic, total } = metrics();
  traffic.record(finished({ opened: true }), connectionLabels());
  assert.equal(await total("istio_tcp_connections_opened_total"), 1);
  assert.equal(await total("istio_tcp_connections_closed_total"), 1);
});

test("a refused connection counts as opened, closed and failed, with its flag", async () => {
  const { traffic, total } = metrics();
  const failure = { reason: "explicit-deny", message: "no" } as const;
  traffic.record(finished({ event: "refused", failure }), connectionLabels());
  assert.equal(await total("istio_tcp_connections_opened_total"), 1);
  assert.equal(await total("istio_tcp_connections_closed_total", { response_flags: "DENY" }), 1);
  assert.equal(await total("istio_tcp_connections_failed_total", { response_flags: "DENY" }), 1);
});

test("counters keep growing over scrapes", async () => {
  const { traffic, total } = metrics();
  for (let i = 1; i <= 3; i++) {
    traffic.record({ event: "opened", labels: 1 }, connectionLabels());
    assert.equal(await total("istio_tcp_connections_opened_total"), i);
  }
});

test("D4.77 beyond the bound further label sets share one series, and that is counted", async () => {
  const { traffic, total } = metrics();
  const extra = 25;
  for (let i = 0; i < TRAFFIC_SERIES + extra; i++) {
    const labels = connectionLabels({ source: endpoint(`w${i}`) });
    traffic.record({ event: "opened", labels: i }, labels);
  }
  const name = "istio_tcp_connections_opened_total";
  assert.equal(await total(name, { source_workload: "unknown" }), extra);
  assert.equal(await total(name), TRAFFIC_SERIES + extra);
  assert.equal(await total("ambient_traffic_series_overflow_total"), extra);
});
