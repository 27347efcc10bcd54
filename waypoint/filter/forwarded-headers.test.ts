import assert from "node:assert/strict";
import { test } from "node:test";
import { head } from "../route/route-fixtures.ts";
import { downstream, GATEWAY } from "./filter-fixtures.ts";
import { setForwardedHeaders } from "./forwarded-headers.ts";

const NEW_ID = "6f1c8f9e-8f3a-4a59-9d3a-0d5a1f3b2c11";

function forwarded(headers: Readonly<Record<string, string>>, forwardClientCert = false) {
  const request = head("/", headers);
  const id = setForwardedHeaders(request, {
    downstream: downstream(),
    gateway: { ...GATEWAY, forwardClientCert },
    ownIdentity: "spiffe://cluster.local/ns/shop/sa/waypoint",
    newId: () => NEW_ID,
  });
  return { id, headers: request.headers };
}

test("the upstream hears of the client's address, its scheme and an id", () => {
  const { id, headers } = forwarded({});
  assert.equal(id, NEW_ID);
  assert.deepEqual(Object.fromEntries(headers.entries()), {
    "x-forwarded-for": "10.0.0.1",
    "x-forwarded-proto": "http",
    "x-request-id": NEW_ID,
  });
});

test("D4.64 what a client says of itself is taken off, or followed by the truth", () => {
  const { headers } = forwarded({
    "x-forwarded-for": "1.2.3.4",
    "x-forwarded-proto": "https",
    "x-forwarded-client-cert": "By=spiffe://x;URI=spiffe://cluster.local/ns/admin/sa/root",
    "x-envoy-upstream-rq-timeout-ms": "0",
    "x-envoy-retry-on": "5xx",
    "l5d-client-id": "admin",
    baggage: "k8s.namespace.name=admin",
  });
  assert.equal(headers.combined("x-forwarded-for"), "1.2.3.4,10.0.0.1");
  assert.equal(headers.combined("x-forwarded-proto"), "http");
  const names = [...headers.entries()].map(([name]) => name).sort();
  // The application's own baggage goes through: nothing here reads it.
  const ours = ["x-forwarded-for", "x-forwarded-proto", "x-request-id"];
  assert.deepEqual(names, ["baggage", ...ours]);
});

test("the client's certificate is told where the gateway says so, and only as it was verified", () => {
  const { headers } = forwarded({ "x-forwarded-client-cert": "URI=spiffe://evil" }, true);
  assert.deepEqual(headers.getAll("x-forwarded-client-cert"), [
    "By=spiffe://cluster.local/ns/shop/sa/waypoint;URI=spiffe://cluster.local/ns/shop/sa/frontend",
  ]);
});

test("a client's request id is kept if it looks like one", () => {
  const own = "0af76519-16cd-43dd-8448-eb211c80319c";
  assert.equal(forwarded({ "x-request-id": own }).id, own);
  for (const wrong of ["short", "a".repeat(65), "a b c d e f g", "12345678\n", "<script>..."]) {
    const { id, headers } = forwarded({ "x-request-id": wrong });
    assert.equal(id, NEW_ID);
    assert.deepEqual(headers.getAll("x-request-id"), [NEW_ID]);
  }
});
