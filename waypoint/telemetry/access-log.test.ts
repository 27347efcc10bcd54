import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { head } from "../route/route-fixtures.ts";
import { formatRequest } from "./access-log.ts";
import { record } from "./record-fixtures.ts";

const text = (fields: Parameters<typeof record>[0] = {}) =>
  formatRequest(record(fields), "text", undefined);

const NOTHING_UPSTREAM = {
  backend: undefined,
  endpoint: undefined,
  route: undefined,
  upstreamMs: undefined,
} as const;

test("a line has Istio's fields for Envoy in their order", () => {
  assert.equal(
    text(),
    '[1970-01-01T00:00:00.000Z] "GET /reviews/0?full=1 HTTP/1.1" 200 - via_upstream - "-" ' +
      '0 295 12 11 "10.0.0.1" "curl/8.5" "0af76519-16cd-43dd-8448-eb211c80319c" ' +
      '"web.shop" "10.0.1.2:9080" ' +
      "inbound-vip|9080|http|reviews.shop.svc.cluster.local - 10.96.0.1:80 10.0.0.1:4711 - " +
      "HTTPRoute/shop/reviews[1]\n",
  );
});

test("an answer of the waypoint's own says why, and which policy", () => {
  const line = text({
    ...NOTHING_UPSTREAM,
    status: 403,
    reason: "denied-by-policy",
    detail: "shop/deny-debug rule 0",
    notes: ["dry run: shop/try denies"],
  });
  assert.match(line, / 403 - denied-by-policy\{shop\/deny-debug_rule_0\} - "-" 0 295 12 - /);
  assert.match(
    line,
    / "-" - - 10\.96\.0\.1:80 10\.0\.0\.1:4711 - - "dry run: shop\/try denies"\n$/,
  );
});

test("a failed connection tells what the transport said, and flags are Envoy's", () => {
  const flags = ["UF", "URX"] as const;
  const line = text({ status: 503, flags, reason: "upstream-connect-failure", detail: "refused" });
  assert.match(line, / 503 UF,URX upstream-connect-failure\{refused\} - "refused" /);
});

test("JSON has Istio's keys, and ours only where there is something to say", () => {
  const plain = JSON.parse(formatRequest(record(), "json", undefined));
  assert.deepEqual(Object.keys(plain).sort(), [
    "authority",
    "bytes_received",
    "bytes_sent",
    "connection_termination_details",
    "downstream_local_address",
    "downstream_remote_address",
    "duration",
    "method",
    "path",
    "protocol",
    "request_id",
    "requested_server_name",
    "response_code",
    "response_code_details",
    "response_flags",
    "route_name",
    "start_time",
    "upstream_cluster",
    "upstream_host",
    "upstream_local_address",
    "upstream_service_time",
    "upstream_transport_failure_reason",
    "user_agent",
    "x_forwarded_for",
  ]);
  assert.equal(plain.response_code, 200);
  assert.equal(plain.upstream_host, "10.0.1.2:9080");
  const noted = record({ detail: "d", notes: ["n"] });
  const { response_detail, notes, trace_id } = JSON.parse(formatRequest(noted, "json", "abc"));
  assert.deepEqual([response_detail, notes, trace_id], ["d", ["n"], "abc"]);
});

test("a token that came as a parameter is not written down", () => {
  const line = text({ head: head("/a?access_token=secret&b=c") });
  assert.match(line, /GET \/a\?access_token=\.\.\.&b=c HTTP/);
});

test("D4.78 nothing that a client sends forges a field or a line", () => {
  const anyText = fc.string({ unit: "binary", minLength: 1 });
  fc.assert(
    fc.property(anyText, anyText, (agent, detail) => {
      const line = text({ head: head("/", { "user-agent": agent }), detail, reason: "no-route" });
      assert.match(line, /^[\x20-\x7e]*\n$/);
      const outside = line.replaceAll(/"(?:[^"\\]|\\.)*"/g, "Q");
      assert.equal(outside.trim().split(" ").length, 22);
    }),
  );
});
