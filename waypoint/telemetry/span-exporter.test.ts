import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { makeIdentity } from "#common/model/identity.ts";
import { PlainUpstreams } from "../upstream/plain-upstreams-fixture.ts";
import { createServiceCaller } from "../upstream/service-caller.ts";
import type { Collector } from "./collector-client.ts";
import { SPAN_QUEUE, SPANS_PER_EXPORT } from "./limits.ts";
import { PROXY, record } from "./record-fixtures.ts";
import { makeResource, makeSpan } from "./span.ts";
import { SpanExporter } from "./span-exporter.ts";

const IDS = {
  traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
  spanId: "00f067aa0ba902b7",
  parentSpanId: "0123456789abcdef",
  sampled: true,
};
const SPAN = makeSpan(record(), IDS, {}, PROXY, makeResource(PROXY));
const where = { namespace: "o11y", hostname: "otel.o11y.svc.cluster.local" };

/** Whose collector is at `port` of this machine. */
function exporter(t: TestContext, port: number | undefined) {
  const dropped: string[] = [];
  const upstreams = new PlainUpstreams();
  t.after(() => upstreams.close());
  if (port !== undefined) upstreams.ports.set(where.hostname, port);
  const ownIdentity = makeIdentity("cluster.local", "shop", "waypoint");
  const subject = new SpanExporter({
    call: createServiceCaller({ upstreams, ownIdentity, now: () => performance.now() }),
    onDropped: (spans, why) => void dropped.push(`${spans} ${why}`),
  });
  t.after(() => subject.close());
  return { subject, dropped };
}

/** What OTLP says in any encoding of it: ids as bytes, names and values as text. */
function assertHolds(body: Buffer): void {
  for (const id of [IDS.traceId, IDS.spanId, IDS.parentSpanId]) {
    assert.ok(body.includes(Buffer.from(id, "hex")), id);
  }
  const texts = ["service.name", "waypoint.shop", "istio.mesh_id", "reviews-v1", SPAN.name];
  for (const text of texts) assert.ok(body.includes(text), text);
}

async function httpCollector(t: TestContext, status: number) {
  const bodies: Buffer[] = [];
  const server = http.createServer(async (request, response) => {
    assert.equal(`${request.method} ${request.url}`, "POST /v1/traces");
    assert.equal(request.headers["content-type"], "application/x-protobuf");
    bodies.push(Buffer.concat(await request.toArray()));
    response.writeHead(status).end("x");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => server.close());
  return { bodies, port: (server.address() as AddressInfo).port };
}

const overHttp: Collector = { ...where, protocol: "http", port: 4318 };

test("spans reach a collector over HTTP, many in one request", async (t) => {
  const { bodies, port } = await httpCollector(t, 200);
  const { subject, dropped } = exporter(t, port);
  for (let i = 0; i < SPANS_PER_EXPORT + 1; i++) subject.add(overHttp, SPAN);
  await subject.flush();
  assert.equal(bodies.length, 2);
  for (const body of bodies) assertHolds(body);
  assert.deepEqual(dropped, []);
});

test("spans reach a collector over gRPC", async (t) => {
  const bodies: Buffer[] = [];
  const same = (value: Buffer) => value;
  const server = new Server();
  const path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
  const types = { requestSerialize: same, requestDeserialize: same };
  const answers = { responseSerialize: same, responseDeserialize: same };
  const stream = { path, requestStream: false, responseStream: false };
  server.addService(
    { Export: { ...stream, ...types, ...answers } },
    {
      Export: (call: { request: Buffer }, answer: (error: null, value: Buffer) => void) => {
        bodies.push(call.request);
        answer(null, Buffer.alloc(0));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  t.after(() => server.forceShutdown());
  const { subject, dropped } = exporter(t, port);
  subject.add({ ...where, protocol: "grpc", port: 4317 }, SPAN);
  await subject.flush();
  assert.equal(bodies.length, 1);
  assertHolds(bodies[0] ?? Buffer.alloc(0));
  assert.deepEqual(dropped, []);
});

test("what a collector refuses, or nobody takes, is lost and counted, never kept", async (t) => {
  const { port } = await httpCollector(t, 503);
  const refused = exporter(t, port);
  refused.subject.add(overHttp, SPAN);
  await refused.subject.flush();
  assert.deepEqual(refused.dropped, [
    "1 o11y/otel.o11y.svc.cluster.local:4318 did not take them: status 503",
  ]);

  const unknown = exporter(t, undefined);
  for (let i = 0; i < SPAN_QUEUE + 3; i++) unknown.subject.add(overHttp, SPAN);
  await unknown.subject.flush();
  assert.match(unknown.dropped[0] ?? "", /did not take them: no endpoint$/);
  assert.equal(unknown.dropped.at(-1), "3 too many spans waited for the collector");

  const nobody = exporter(t, 1);
  nobody.subject.add(overHttp, SPAN);
  await nobody.subject.flush();
  assert.match(nobody.dropped[0] ?? "", /^1 .* did not take them: refused$/);
});
