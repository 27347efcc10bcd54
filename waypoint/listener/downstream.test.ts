import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { ip, pod, service, update } from "#common/mesh-state/test-records.ts";
import { makeIdentity } from "#common/model/identity.ts";
import { formatSocketAddress } from "#common/model/ip.ts";
import { waypointResourceName } from "#common/model/waypoint/resource.ts";
import type { Downstream } from "../filter/stage.ts";
import { WaypointState } from "../state/waypoint-state.ts";
import { plainService } from "../waypoint-fixture.ts";
import { describeDownstream } from "./downstream.ts";

const WEB = plainService("web", "10.96.0.1");
const WAYPOINT = { namespace: "shop", hostname: "waypoint.shop.svc.cluster.local" };
const BOUND = {
  waypoint: { kind: "hostname", name: WAYPOINT, hboneMtlsPort: 15_008 },
} as const;
const ELSEWHERE = {
  waypoint: {
    kind: "hostname",
    name: { namespace: "shop", hostname: "other.shop.svc.cluster.local" },
    hboneMtlsPort: 15_008,
  },
} as const;

const mesh = new ProxyState({ network: "" });
mesh.apply(
  update({
    services: [
      service(WAYPOINT.hostname, ["10.96.1.1"], { name: "waypoint" }),
      service("other.shop.svc.cluster.local", ["10.96.1.2"], { name: "other" }),
    ],
    workloads: [
      pod("client", ["10.0.0.1"], { serviceAccount: "client" }),
      pod("sibling", ["10.0.0.2"], { serviceAccount: "client" }),
      pod("stranger", ["10.0.0.3"], { serviceAccount: "stranger" }),
      pod("bound", ["10.0.0.4"], BOUND),
      pod("elsewhere", ["10.0.0.5"], ELSEWHERE),
    ],
  }),
);
const upserts = [{ name: waypointResourceName("shop/waypoint", WEB), value: WEB }];
const context = {
  mesh,
  store: { current: WaypointState.EMPTY.with({ upserts, removed: [] }) },
  network: "",
  gateway: { namespace: "shop", name: "waypoint" },
};

function describeIt(authority: string, forwarded?: string, from = "10.0.0.1") {
  const peer = {
    identity: makeIdentity("cluster.local", "shop", "client"),
    address: { ip: ip(from), port: 40_000 },
    localIp: ip("10.0.0.9"),
  };
  return describeDownstream(context, { authority, forwarded }, peer);
}

function admitted(authority: string, forwarded?: string, from?: string): Downstream {
  const described = describeIt(authority, forwarded, from);
  assert.ok(!("ok" in described), JSON.stringify(described));
  return described;
}

function reasonFor(authority: string): string {
  const described = describeIt(authority);
  return "ok" in described ? described.reason : "admitted";
}

describe("what is asked for", () => {
  test("is a service's port by address or name, or a pod that is bound to this waypoint", () => {
    assert.equal(admitted("10.96.0.1:80").port, WEB.ports[0]);
    assert.equal(admitted(`${WEB.hostname}:80`).service, WEB);
    const { service: none, workload, port } = admitted("10.0.0.4:8080");
    assert.deepEqual([none, workload?.name, port], [undefined, "bound", undefined]);
  });

  test("is refused where it is anything else, a pod of another waypoint included", () => {
    assert.equal(reasonFor("10.0.0.5:8080"), "unknown-destination");
    assert.equal(reasonFor("10.0.0.3:8080"), "unknown-destination");
    assert.equal(reasonFor("10.96.1.1:15008"), "unknown-destination");
    assert.equal(reasonFor("10.96.0.1:81"), "unknown-destination");
    assert.equal(reasonFor("127.0.0.1:15000"), "unknown-destination");
    assert.equal(reasonFor("169.254.169.254:80"), "unknown-destination");
    assert.equal(reasonFor("metadata.google.internal:80"), "unknown-destination");
    assert.equal(reasonFor("10.0.0.4:15008"), "recursive-call");
  });

  test("is malformed where RFC 9113 8.5 knows no such authority", () => {
    const long = `${"a".repeat(63)}.`.repeat(5);
    const wrong = ["", "web", "web:0", "web:65536", "user@web:80", "[::1]", "::1:80", "a b:80"];
    for (const authority of [...wrong, `${long}x:80`, "web\0:80", "wéb:80", "0x7f.1:80"]) {
      assert.equal(reasonFor(authority), "bad-request", authority);
    }
  });
});

describe("who asks", () => {
  const source = (forwarded?: string, from?: string): [string, string | undefined] => {
    const described = admitted("10.96.0.1:80", forwarded, from);
    return [formatSocketAddress(described.source), described.sourceWorkload?.name];
  };

  test("is the connection's address, with the port that its ztunnel tells", () => {
    assert.deepEqual(source(), ["10.0.0.1:40000", "client"]);
    assert.deepEqual(source('for="10.0.0.1:5555";host=web'), ["10.0.0.1:5555", "client"]);
  });

  test("may be another address of the same identity, never one of another's", () => {
    assert.deepEqual(source('for="10.0.0.2:5555"'), ["10.0.0.2:5555", "sibling"]);
    assert.deepEqual(source('for="10.0.0.3:5555"'), ["10.0.0.1:40000", "client"]);
    assert.deepEqual(source('for="192.0.2.1:5555"'), ["10.0.0.1:40000", "client"]);
    assert.deepEqual(source('for="unknown"'), ["10.0.0.1:40000", "client"]);
  });

  test("is no workload where the certificate is another's than the address's", () => {
    assert.deepEqual(source(undefined, "10.0.0.3"), ["10.0.0.3:40000", undefined]);
    assert.deepEqual(source(undefined, "192.0.2.7"), ["192.0.2.7:40000", undefined]);
  });
});
