import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Metadata, status } from "@grpc/grpc-js";
import { decodeAddress } from "#common/xds/decode-workload.ts";
import { ADDRESS_TYPE, AUTHORIZATION_TYPE, CAPTURED_POD_TYPE } from "#common/xds/type-urls.ts";
import {
  absent,
  makeNamespace,
  makePod,
  makeService,
  present,
} from "../registry/registry-fixtures.ts";
import { AdsTestServer, names, RawStream } from "./ads-test-server.ts";

const WEB = "Kubernetes//Pod/shop/web-1";
const DB = "Kubernetes//Pod/shop/db-1";
const pods = [
  makePod(),
  makePod({ name: "db-1", ips: ["10.0.2.1"], node: "node-2", spec: { serviceAccountName: "db" } }),
];
const ambient = makeNamespace("shop", { "istio.io/dataplane-mode": "ambient" });
const noWrites = {
  setPodAnnotations: () => Promise.resolve(),
  setConditions: () => Promise.resolve(),
  setAddresses: () => Promise.resolve(),
  setStatusFields: () => Promise.resolve(),
  recordEvent: () => Promise.resolve(),
};

let server: AdsTestServer;
beforeEach(async () => {
  server = await AdsTestServer.start(noWrites);
  server.apply(present(...pods, ambient));
});
afterEach(() => server.close());

describe("a stream that wants everything", () => {
  it("gets all there is, then only what changes, under real names with aliases", async () => {
    const stream = await server.connect();
    stream.send();
    const first = await stream.nextAcked();
    assert.equal(first.typeUrl, ADDRESS_TYPE);
    assert.deepEqual(names(first), [DB, WEB]);
    const web = first.resources.find(({ name }) => name === WEB);
    assert.deepEqual(web?.aliases, ["/10.0.1.1"]);
    const decoded = decodeAddress(web?.value ?? new Uint8Array());
    assert.equal(decoded.kind === "workload" && decoded.workload.name, "web-1");

    server.apply(present(makePod({ ready: false })));
    assert.deepEqual(names(await stream.nextAcked()), [WEB]);
    server.apply(absent(makePod()));
    const removal = await stream.nextAcked();
    assert.deepEqual([names(removal), removal.removedResources], [[], [WEB]]);
    stream.cancel();
  });

  it("is answered even where there is nothing of a type", async () => {
    const stream = await server.connect();
    stream.send({ typeUrl: AUTHORIZATION_TYPE });
    const first = await stream.nextAcked();
    assert.deepEqual([names(first), first.removedResources], [[], []]);
    stream.cancel();
  });

  it("is told on reconnect what differs and what went away, and nothing else", async () => {
    const before = await server.connect();
    before.send();
    const held = new Map((await before.next()).resources.map((r) => [r.name, r.version]));
    before.cancel();
    server.apply([...absent(pods[1] as (typeof pods)[0]), ...present(makePod({ name: "extra" }))]);
    const stream = await server.connect();
    stream.send({ initialResourceVersions: held });
    const response = await stream.next();
    assert.deepEqual(names(response), ["Kubernetes//Pod/shop/extra"]);
    assert.deepEqual(response.removedResources, [DB]);
    stream.cancel();
  });

  it("gets a burst of changes as one response", async () => {
    const stream = await server.connect();
    stream.send();
    await stream.nextAcked();
    for (let i = 0; i < 20; i++) server.apply(present(makePod({ labels: { version: `v${i}` } })));
    const response = await stream.nextAcked();
    assert.deepEqual(names(response), [WEB]);
    await sleep(50);
    assert.equal(stream.responses.length, 2);
    stream.cancel();
  });

  it("is not sent a refused resource again, and the refusal is logged and counted", async () => {
    const stream = await server.connect();
    stream.send();
    const { nonce } = await stream.next();
    const errorDetail = { code: 3, message: "cannot use web-1" };
    stream.send({ responseNonce: nonce, errorDetail });
    server.apply(present(makePod({ name: "extra", ips: ["10.0.3.1"] })));
    assert.deepEqual(names(await stream.nextAcked()), ["Kubernetes//Pod/shop/extra"]);
    assert.match(server.log.join(""), /proxy refused resources.*cannot use web-1/);
    assert.match(await server.metrics.metrics(), /pilot_total_xds_rejects\{type="wds"\} 1/);
    const [line] = server.ads.status().filter(({ types }) => types[0]?.lastRejection !== "");
    assert.equal(line?.types[0]?.lastRejection, "cannot use web-1");
    stream.cancel();
  });

  it("that never acknowledges costs one response, whatever changes", async () => {
    const slow = await server.connect();
    slow.send();
    await slow.next();
    const quick = await server.connect();
    quick.send();
    await quick.nextAcked();
    for (let i = 0; i < 30; i++) {
      server.apply(present(makePod({ labels: { version: `v${i}` } })));
      await quick.nextAcked();
    }
    assert.equal(slow.responses.length, 1);
    const pending = server.ads.status().map(({ types }) => types[0]?.pending);
    assert.deepEqual(pending.sort(), [0, 1]);
    slow.cancel();
    quick.cancel();
  });
});

describe("a stream on demand", () => {
  it("gets what it names, by name or address, and news of that only", async () => {
    const stream = await server.connect();
    stream.send({ subscribe: ["*"], unsubscribe: ["*"] });
    assert.deepEqual(names(await stream.nextAcked()), []);
    stream.send({ subscribe: ["/10.0.1.1", "/10.9.9.9"] });
    const found = await stream.nextAcked();
    assert.deepEqual([names(found), found.removedResources], [[WEB], ["/10.9.9.9"]]);
    server.apply(present(makePod({ name: "db-1", ips: ["10.0.2.1"], ready: false })));
    server.apply(present(makePod({ ready: false })));
    assert.deepEqual(names(await stream.nextAcked()), [WEB]);
    server.apply(absent(makePod()));
    assert.deepEqual((await stream.nextAcked()).removedResources, [WEB]);
    stream.cancel();
  });

  it("finds a service by its address", async () => {
    const service = makeService("web", { clusterIP: "10.96.0.1", ports: [{ port: 80 }] });
    server.apply(present(service));
    const stream = await server.connect();
    stream.send({ subscribe: ["/10.96.0.1"] });
    assert.deepEqual(names(await stream.nextAcked()), ["shop/web.shop.svc.cluster.local"]);
    server.apply(absent(service));
    stream.cancel();
  });
});

describe("callers", () => {
  const endOf = async (metadata: Metadata) => {
    const stream = new RawStream(server.client(), metadata);
    stream.send();
    const { code } = await stream.end();
    return [code, stream.responses.length];
  };

  it("without a token, or with one for somebody else, get nothing", async () => {
    assert.deepEqual(await endOf(new Metadata()), [status.UNAUTHENTICATED, 0]);
    const junk = new Metadata();
    junk.set("authorization", "Bearer a.b.c");
    assert.deepEqual(await endOf(junk), [status.UNAUTHENTICATED, 0]);
    const other = await server.metadata({ audiences: ["vault"] });
    assert.deepEqual(await endOf(other), [status.UNAUTHENTICATED, 0]);
  });

  it("that are the node's ztunnel get its pods, and only its own", async () => {
    for (const [node, uid] of [
      ["node-1", "uid-of-shop-web-1"],
      ["node-2", "uid-of-shop-db-1"],
    ] as const) {
      const stream = await server.connect({ node });
      stream.send({ typeUrl: CAPTURED_POD_TYPE, nodeName: node });
      assert.deepEqual(names(await stream.nextAcked()), [uid]);
      stream.cancel();
    }
  });

  const foreign: [string, Parameters<AdsTestServer["connect"]>[0], string][] = [
    ["another node's ztunnel", { node: "node-2" }, "node-1"],
    ["another service account", { serviceAccount: "web" }, "node-1"],
    ["a ztunnel of another namespace", { namespace: "shop" }, "node-1"],
  ];
  for (const [who, claims, nodeName] of foreign) {
    it(`that are ${who} do not get the node's pods`, async () => {
      const stream = await server.connect(claims);
      stream.send({ typeUrl: CAPTURED_POD_TYPE, nodeName });
      assert.equal((await stream.end()).code, status.PERMISSION_DENIED);
      assert.equal(stream.responses.length, 0);
    });
  }

  it("cannot become another node on the way", async () => {
    const stream = await server.connect();
    stream.send();
    await stream.nextAcked();
    stream.send({ typeUrl: CAPTURED_POD_TYPE, nodeName: "node-2" });
    assert.deepEqual(names(await stream.nextAcked()), ["uid-of-shop-web-1"]);
    stream.cancel();
  });

  it("that subscribe to more names than allowed are sent away", async () => {
    const stream = await server.connect();
    stream.send({ subscribe: Array.from({ length: 50_001 }, (_, i) => `n${i}`) });
    assert.equal((await stream.end()).code, status.RESOURCE_EXHAUSTED);
  });

  it("that ask for an unknown type leave the others' service alone", async () => {
    const stream = await server.connect();
    stream.send({ typeUrl: "type.googleapis.com/envoy.config.cluster.v3.Cluster" });
    stream.send();
    assert.deepEqual(names(await stream.nextAcked()), [DB, WEB]);
    stream.cancel();
  });
});

it("forgets streams that are gone", async () => {
  const stream = await server.connect();
  stream.send();
  await stream.next();
  stream.cancel();
  for (let i = 0; i < 2_000 && server.ads.status().length > 0; i++) await sleep(10);
  assert.deepEqual(server.ads.status(), []);
  assert.match(await server.metrics.metrics(), /pilot_xds 0/);
});
