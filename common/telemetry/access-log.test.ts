import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatAccessLog } from "./access-log.ts";
import { connectionLabels, endpoint, finished } from "./test-connections.ts";

test("a line has Istio's fields in Istio's order", () => {
  assert.equal(
    formatAccessLog(finished(), connectionLabels(), "text"),
    "1970-01-01T00:00:00.000Z\tinfo\taccess\tconnection complete\t" +
      'src.addr=10.0.0.1:4711 src.workload="frontend-7d4f" src.namespace="shop" ' +
      'src.identity="spiffe://cluster.local/ns/shop/sa/frontend" src.cluster="Kubernetes" ' +
      "dst.addr=10.0.1.2:15008 dst.hbone_addr=10.0.1.2:5432 " +
      'dst.service="db.shop.svc.cluster.local" dst.workload="db-7d4f" dst.namespace="shop" ' +
      'dst.identity="spiffe://cluster.local/ns/shop/sa/db" dst.cluster="Kubernetes" ' +
      'direction="outbound" bytes_sent=100 bytes_recv=2000 duration="12ms"\n',
  );
});

test("bytes are sent and received as the reporting proxy's own side sees them", () => {
  const line = formatAccessLog(finished(), connectionLabels({ reporter: "destination" }), "text");
  assert.match(line, /direction="inbound" bytes_sent=2000 bytes_recv=100 /);
});

test("a refusal is an error with reason and policy at the end", () => {
  const failure = { reason: "explicit-deny", message: "denied by p", policy: "shop/p" } as const;
  const line = formatAccessLog(finished({ event: "refused", failure }), connectionLabels(), "text");
  assert.match(line, /\terror\taccess\t/);
  assert.match(line, / error="denied by p" reason="explicit-deny" policy="shop\/p"\n$/);
});

test("a reset by an application ends a connection without being an error", () => {
  const failure = { reason: "peer-reset", message: "client connection broken" } as const;
  const line = formatAccessLog(finished({ failure }), connectionLabels(), "text");
  assert.match(line, /\tinfo\taccess\t/);
  assert.match(line, /duration="12ms" reason="peer-reset"\n$/);
});

test("what is not known is left out, and identities of plaintext", () => {
  const nobody = endpoint("", {
    name: "",
    namespace: "",
    cluster: "",
  });
  const labels = connectionLabels({ source: nobody, service: undefined, security: "unknown" });
  const line = formatAccessLog(finished({ hboneAddress: "" }), labels, "text");
  assert.match(line, /\tsrc\.addr=10\.0\.0\.1:4711 dst\.addr=10\.0\.1\.2:15008 dst\.workload=/);
  assert.doesNotMatch(line, /identity|hbone|service/);
});

test("JSON has the same fields under the same names", () => {
  const failure = { reason: "no-allow-matched", message: "no" } as const;
  const line = formatAccessLog(finished({ event: "refused", failure }), connectionLabels(), "json");
  const object = JSON.parse(line);
  assert.equal(object["src.identity"], "spiffe://cluster.local/ns/shop/sa/frontend");
  assert.equal(object.bytes_recv, 2000);
  assert.equal(object.duration, "12ms");
  assert.equal(object.reason, "no-allow-matched");
  assert.equal(object.level, "error");
});

test("D4.78 no name and no message forges a field or a line", () => {
  const anyText = fc.string({ unit: "binary", minLength: 1 });
  fc.assert(
    fc.property(anyText, anyText, (name, message) => {
      const labels = connectionLabels({ source: endpoint("x", { name }) });
      const failure = { reason: "io-error", message } as const;
      const line = formatAccessLog(finished({ failure }), labels, "text");
      assert.equal(line.indexOf("\n"), line.length - 1);
      const unquoted = line.replaceAll(/"(?:[^"\\]|\\.)*"/g, "");
      assert.equal(unquoted.match(/[\w.]+=/g)?.length, 18);
    }),
  );
});
