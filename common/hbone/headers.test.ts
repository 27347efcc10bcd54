import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type IpAddress, parseIp } from "#common/model/ip.ts";
import type { Workload } from "#common/model/workload.ts";
import { parseAuthority } from "./authority.ts";
import { makeBaggage, parseBaggage } from "./baggage.ts";
import { formatForwarded, forwardedHost } from "./forwarded.ts";
import { makeTraceparent } from "./traceparent.ts";

test("parseAuthority takes addresses and names with a port", () => {
  assert.deepEqual(parseAuthority("10.0.0.1:80"), { kind: "ip", ip: "10.0.0.1", port: 80 });
  assert.deepEqual(parseAuthority("[fd00::1]:65535"), { kind: "ip", ip: "fd00::1", port: 65535 });
  assert.deepEqual(parseAuthority("[::ffff:10.0.0.1]:80").kind, "error");
  assert.deepEqual(parseAuthority("Web.NS.svc.cluster.local:8080"), {
    kind: "hostname",
    hostname: "web.ns.svc.cluster.local",
    port: 8080,
  });
});

const REFUSED = [
  "",
  "10.0.0.1",
  "10.0.0.1:",
  "10.0.0.1:0",
  "10.0.0.1:65536",
  "10.0.0.1:080",
  "10.0.0.1:+80",
  "10.0.0.1:80 ",
  "10.0.0.256:80",
  "1.2.3:80",
  "fd00::1:80",
  "[fd00::1%eth0]:80",
  "[fd00::1]",
  "[10.0.0.1]:80",
  "user@10.0.0.1:80",
  "http://10.0.0.1:80",
  "web\u0000.svc:80",
  "web。svc:80",
  `${"a".repeat(300)}:80`,
  "-web:80",
  "web..svc:80",
  "/etc:80",
  "0x7f000001:80",
  "127.0.0.0x1:80",
  "web.1:80",
];
for (const text of REFUSED) {
  test(`parseAuthority refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
    assert.equal(parseAuthority(text).kind, "error");
  });
}

test("parseAuthority answers for any text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const authority = parseAuthority(text);
      if (authority.kind === "ip") assert.equal(parseIp(authority.ip), authority.ip);
    }),
  );
});

const workload = (fields: Partial<Workload>): Workload => ({
  uid: "c//Pod/ns/web-1",
  name: "web-1",
  namespace: "ns",
  addresses: [],
  hostname: "",
  network: "",
  tunnelProtocol: "hbone",
  trustDomain: "cluster.local",
  serviceAccount: "web",
  node: "n1",
  canonicalName: "web",
  canonicalRevision: "v1",
  workloadType: "deployment",
  workloadName: "web",
  nativeTunnel: false,
  services: new Map(),
  authorizationPolicies: [],
  status: "healthy",
  clusterId: "Kubernetes",
  locality: { region: "r", zone: "", subzone: "" },
  networkMode: "standard",
  capacity: 1,
  ...fields,
});

test("baggage carries Istio's keys in Istio's order, without empty ones", () => {
  assert.equal(
    makeBaggage(workload({})),
    "k8s.cluster.name=Kubernetes,k8s.namespace.name=ns,k8s.deployment.name=web," +
      "service.name=web,service.version=v1,cloud.region=r",
  );
});

test("any name survives the way through the baggage header, and cannot forge a key", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (name) => {
      const header = makeBaggage(workload({ canonicalName: name }));
      assert.match(header, /^[\x21-\x7e]+$/);
      const parsed = parseBaggage(header);
      assert.equal(parsed.namespace, "ns");
      assert.equal((parsed.serviceName ?? "").trim(), name.toWellFormed().trim());
    }),
  );
});

test("parseBaggage passes over what it does not understand", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void parseBaggage(text)));
  assert.deepEqual(parseBaggage("service.name=a;prop=1, x=y,k8s.job.name=%zz,=,cloud.region=r"), {
    serviceName: "a",
    region: "r",
  });
});

test("forwarded names the client, and the service where one was addressed", () => {
  const client = { ip: "fd00::1" as IpAddress, port: 9 };
  assert.equal(formatForwarded(client, undefined), 'for="[fd00::1]:9"');
  const header = formatForwarded(client, "web.ns.svc.cluster.local");
  assert.equal(forwardedHost(header), "web.ns.svc.cluster.local");
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void forwardedHost(text)));
});

test("traceparent is well-formed for any randomness", () => {
  for (const value of [0, 0.5, 1 - Number.EPSILON]) {
    assert.match(
      makeTraceparent(() => value),
      /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-00$/,
    );
  }
});
