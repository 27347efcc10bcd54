import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as nextTurn, setTimeout as wait } from "node:timers/promises";
import { Registry } from "prom-client";
import { pod } from "#common/mesh-state/test-records.ts";
import { makeIdentity } from "#common/model/identity.ts";
import { head } from "../route/route-fixtures.ts";
import { RECORD_QUEUE, RECORDS_PER_TURN, REQUEST_SERIES } from "./limits.ts";
import { PROXY, record, SERVICE, telemetry } from "./record-fixtures.ts";
import { RequestTelemetry } from "./request-telemetry.ts";
import type { Span } from "./span.ts";

function create() {
  const registry = new Registry();
  const log: string[] = [];
  const spans: Span[] = [];
  const subject = new RequestTelemetry({
    registry,
    writeLog: (text, lines) => {
      assert.equal(text.split("\n").length - 1, lines);
      log.push(...text.split("\n").filter((line) => line !== ""));
    },
    exporter: { add: (_, span) => void spans.push(span) },
    proxy: PROXY,
    randomHex: (bytes) => "ab".repeat(bytes),
    random: () => 0,
  });
  return { registry, log, spans, subject };
}

/** The lines of a scrape that begin so. */
async function scraped(registry: Registry, prefix: string): Promise<string[]> {
  return (await registry.metrics()).split("\n").filter((line) => line.startsWith(prefix));
}

describe("metrics", () => {
  test("are Istio's, with its labels, reported by the waypoint", async () => {
    const { registry, subject } = create();
    subject.sink(record());
    subject.sink(record({ durationMs: 70 }));
    subject.flush();
    const lines = await scraped(registry, "istio_requests_total");
    assert.deepEqual(lines, [
      'istio_requests_total{reporter="waypoint",source_workload="frontend",' +
        'source_workload_namespace="shop",' +
        'source_principal="spiffe://cluster.local/ns/shop/sa/frontend",source_app="frontend",' +
        'source_version="latest",source_canonical_service="frontend",' +
        'source_canonical_revision="latest",source_cluster="Kubernetes",' +
        'destination_workload="reviews-v1",destination_workload_namespace="shop",' +
        'destination_principal="spiffe://cluster.local/ns/shop/sa/default",' +
        'destination_app="reviews",destination_version="v1",' +
        'destination_canonical_service="reviews",destination_canonical_revision="v1",' +
        'destination_cluster="Kubernetes",' +
        'destination_service="reviews.shop.svc.cluster.local",' +
        'destination_service_namespace="shop",destination_service_name="reviews",' +
        'request_protocol="http",response_code="200",grpc_response_status="",' +
        'response_flags="-",connection_security_policy="mutual_tls"} 2',
    ]);
    const buckets = await scraped(registry, "istio_request_duration_milliseconds");
    const value = (le: string) =>
      buckets
        .find((line) => line.includes(`{le="${le}"`))
        ?.split(" ")
        .at(-1);
    assert.deepEqual([value("10"), value("25"), value("100"), value("+Inf")], ["0", "1", "2", "2"]);
    assert.match(buckets.find((line) => line.includes("_sum{")) ?? "", / 82\.4$/);
    assert.equal((await scraped(registry, "istio_response_bytes_count")).length, 1);
  });

  test("tell apart protocol, status, flags and the backend that answered", async () => {
    const { registry, subject } = create();
    const grpc = head("/a/b", { "content-type": "application/grpc" }, { method: "POST" });
    subject.sink(record({ head: grpc, grpcStatus: 5 }));
    subject.sink(record({ status: 503, flags: ["UO"] }));
    subject.sink(record({ backend: { namespace: "x", hostname: "v2.x.svc", port: 1 } }));
    subject.flush();
    const lines = (await scraped(registry, "istio_requests_total")).join("\n");
    assert.match(lines, /request_protocol="grpc",response_code="200",grpc_response_status="5"/);
    assert.match(lines, /response_code="503",grpc_response_status="",response_flags="UO"/);
    assert.match(lines, /destination_service_namespace="x",destination_service_name="v2"/);
  });

  test("D4.77 nothing that a client chooses makes a series, and series are bounded", async () => {
    const { registry, subject } = create();
    for (let i = 0; i < 50; i++) {
      const request = head(
        `/${i}`,
        { "user-agent": `${i}` },
        { authority: `h${i}`, method: `M${i}` },
      );
      subject.sink(record({ head: request }));
    }
    subject.flush();
    assert.equal((await scraped(registry, "istio_requests_total")).length, 1);
    for (let i = 0; i < REQUEST_SERIES + 50; i++) {
      const peer = makeIdentity("cluster.local", "shop", `sa-${i}`);
      subject.sink(record({ downstream: { peer } }));
    }
    subject.flush();
    const lines = await scraped(registry, "istio_requests_total");
    assert.equal(lines.length, REQUEST_SERIES + 1);
    assert.match(lines.at(-1) ?? "", /destination_service="unknown",response_code="unknown"\} 51$/);
    const [overflow] = await scraped(registry, "ambient_request_series_overflow_total");
    assert.equal(overflow, "ambient_request_series_overflow_total 51");
  });

  test("leave out what Telemetry says, a service's own before the gateway's", async () => {
    const { registry, subject } = create();
    const removedLabels = ["source_principal", "response_flags"];
    subject.sink(record({ telemetry: telemetry({ metrics: { enabled: true, removedLabels } }) }));
    const off = telemetry({ metrics: { enabled: false, removedLabels: [] } });
    subject.sink(record({ downstream: { service: { ...SERVICE, telemetry: off } } }));
    subject.flush();
    const [line, ...more] = await scraped(registry, "istio_requests_total");
    assert.doesNotMatch(line ?? "", /source_principal|response_flags/);
    assert.deepEqual([line?.endsWith(" 1"), more.length], [true, 0]);
  });

  test("pods of one workload share a series", async () => {
    const { registry, subject } = create();
    for (const name of ["a-1", "a-2"]) {
      const sourceWorkload = pod(name, [], { workloadName: "a", canonicalName: "a" });
      subject.sink(record({ downstream: { sourceWorkload } }));
    }
    subject.flush();
    assert.equal((await scraped(registry, "istio_requests_total")).length, 1);
  });
});

describe("the access log", () => {
  test("is written after the request, in turns, and each request once", async () => {
    const { log, subject } = create();
    subject.sink(record());
    assert.equal(log.length, 0);
    const deadline = Date.now() + 10_000;
    while (log.length === 0 && Date.now() < deadline) await wait(5);
    assert.equal(log.length, 1);
    for (let i = 0; i < 3 * RECORDS_PER_TURN + 1; i++) subject.sink(record());
    assert.equal(log.length, 1);
    for (let i = 0; i < 10; i++) await nextTurn();
    assert.equal(log.length, 3 * RECORDS_PER_TURN + 2);
  });

  test("leaves out what Telemetry's filter does, and is off where it says so", () => {
    const { log, subject } = create();
    const filter = { minimumStatus: 400 };
    const errors = telemetry({ accessLog: { enabled: true, format: "json", filter } });
    subject.sink(record({ telemetry: errors }));
    subject.sink(record({ telemetry: errors, status: 404 }));
    subject.sink(
      record({ telemetry: telemetry({ accessLog: { enabled: false, format: "text" } }) }),
    );
    subject.flush();
    assert.equal(log.length, 1);
    assert.equal(JSON.parse(log[0] ?? "").response_code, 404);
  });

  test("loses lines beyond the bound, and says how many; their requests count", async () => {
    const { log, registry, subject } = create();
    for (let i = 0; i < RECORD_QUEUE + 10; i++) subject.sink(record());
    subject.flush();
    assert.equal(log.length, RECORD_QUEUE);
    const [dropped] = await scraped(registry, "ambient_request_records_dropped_total");
    assert.equal(dropped, "ambient_request_records_dropped_total 10");
    const [total] = await scraped(registry, "istio_requests_total");
    assert.ok(total?.endsWith(` ${RECORD_QUEUE + 10}`));
  });
});

describe("traces", () => {
  const tracing = {
    samplingPercent: 100,
    protocol: "grpc",
    namespace: "observability",
    hostname: "otel.observability.svc.cluster.local",
    port: 4317,
    customTags: {
      team: { kind: "literal", value: "shop" },
      agent: { kind: "header", value: "User-Agent" },
      missing: { kind: "header", value: "x-none" },
    },
  } as const;

  test("a sampled request becomes a span with Istio's tags", () => {
    const { spans, subject } = create();
    const traced = record({ telemetry: telemetry({ tracing }), status: 503, flags: ["UF"] });
    assert.equal(subject.stage(traced.context), undefined);
    const parent = traced.context.head.headers.get("traceparent");
    assert.equal(parent, `00-${"ab".repeat(16)}-${"ab".repeat(8)}-01`);
    subject.sink(traced);
    subject.flush();
    const [span] = spans;
    assert.equal(span?.name, "reviews.shop.svc.cluster.local:80/*");
    assert.equal(span?.spanContext().spanId, "ab".repeat(8));
    assert.deepEqual([span?.status.code, span?.endTime], [2, [0, 12_400_000]]);
    const expected = {
      "http.status_code": "503",
      "http.url": "http://web.shop/reviews/0",
      response_flags: "UF",
      "istio.mesh_id": "cluster.local",
      "istio.canonical_service": "waypoint",
      "istio.source_workload": "frontend",
      "istio.destination_workload": "reviews-v1",
      "istio.upstream.namespace": "shop",
      error: true,
      team: "shop",
      agent: "curl/8.5",
    };
    const found = span?.attributes ?? {};
    for (const [name, value] of Object.entries(expected)) assert.equal(found[name], value, name);
    assert.equal("missing" in found, false);
  });

  test("without tracing the client's headers go on untouched; unsampled ones make no span", () => {
    const { spans, subject } = create();
    const client = { traceparent: `00-${"1".repeat(32)}-${"2".repeat(16)}-00` };
    const plain = record({ head: head("/", client) });
    subject.stage(plain.context);
    assert.equal(plain.context.head.headers.get("traceparent"), client.traceparent);
    const unsampled = record({ head: head("/", client), telemetry: telemetry({ tracing }) });
    subject.stage(unsampled.context);
    assert.notEqual(unsampled.context.head.headers.get("traceparent"), client.traceparent);
    subject.sink(plain);
    subject.sink(unsampled);
    subject.flush();
    assert.equal(spans.length, 0);
  });
});
