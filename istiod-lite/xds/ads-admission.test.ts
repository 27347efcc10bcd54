import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Metadata, status } from "@grpc/grpc-js";
import { WAYPOINT_TYPE } from "#common/xds/type-urls.ts";
import { REFUSALS_LOGGED_PER_MINUTE, STREAMS_PER_CALLER } from "../limits.ts";
import { makePod, present } from "../registry/registry-fixtures.ts";
import { makeGateway } from "../registry/waypoints/waypoint-fixtures.ts";
import { AdsTestServer, names, RawStream } from "./ads-test-server.ts";

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
});
afterEach(() => server.close());

test("D4.68 a server that does not know who asks does not say that all is gone, until it does", async () => {
  server.isKnown = () => false;
  const held = new Map([["Kubernetes//Pod/shop/web-1", "v1"]]);
  const early = await server.connect();
  early.send({ initialResourceVersions: held });
  const { code, details } = await early.end();
  assert.equal(code, status.UNAVAILABLE);
  assert.match(details, /istio-system\/ztunnel-1 .* is not known here \(yet\)/);
  assert.deepEqual(early.responses, []);
  server.isKnown = () => true;
  server.apply(present(makePod({ name: "web-2" })));
  const stream = await server.connect();
  stream.send({ initialResourceVersions: held });
  const response = await stream.next();
  assert.deepEqual(names(response), ["Kubernetes//Pod/shop/web-2"]);
  assert.deepEqual(response.removedResources, [...held.keys()]);
  stream.cancel();
});

test("one pod has a bounded number of streams, and gets the place of one that ended", async () => {
  const streams: RawStream[] = [];
  for (let i = 0; i < STREAMS_PER_CALLER; i++) {
    const stream = await server.connect();
    stream.send();
    await stream.nextAcked();
    streams.push(stream);
  }
  const refused = await server.connect();
  refused.send();
  assert.equal((await refused.end()).code, status.RESOURCE_EXHAUSTED);
  const other = await server.connect({ podName: "ztunnel-2", podUid: "uid-of-ztunnel-2" });
  other.send();
  await other.nextAcked();
  streams[0]?.cancel();
  while (server.ads.status().length > STREAMS_PER_CALLER) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const next = await server.connect();
  next.send();
  await next.nextAcked();
  for (const stream of [...streams, other, next]) stream.cancel();
});

test("callers without a token are refused each, and logged a few times a minute", async () => {
  const client = server.client();
  const many = Array.from({ length: 3 * REFUSALS_LOGGED_PER_MINUTE }, async () => {
    const stream = new RawStream(client, new Metadata());
    stream.send();
    return (await stream.end()).code;
  });
  assert.deepEqual(new Set(await Promise.all(many)), new Set([status.UNAUTHENTICATED]));
  const lines = server.log.filter((line) => line.includes("xDS caller refused"));
  assert.equal(lines.length, REFUSALS_LOGGED_PER_MINUTE);
});

test("a waypoint's pods are told what is their waypoint's, and nobody else is", async () => {
  const gateways = ["waypoint", "other"].map((name) => makeGateway(name));
  server.apply(present(...gateways));
  const asking = (podName: string, namespace = "shop") =>
    server.connect({ namespace, serviceAccount: "waypoint", podName, podUid: `uid-of-${podName}` });
  const own = await asking("waypoint-1");
  // What the proxy says of itself is not asked.
  own.send({ typeUrl: WAYPOINT_TYPE, nodeName: "waypoint/shop/other" });
  assert.deepEqual(names(await own.nextAcked()), ["shop/waypoint/gateway"]);
  own.cancel();
  const elsewhere = await asking("waypoint-1", "bank");
  elsewhere.send({ typeUrl: WAYPOINT_TYPE, nodeName: "waypoint/shop/waypoint" });
  assert.deepEqual(names(await elsewhere.nextAcked()), []);
  elsewhere.cancel();
  for (const stream of [await asking("web-1"), await server.connect()]) {
    stream.send({ typeUrl: WAYPOINT_TYPE, nodeName: "waypoint/shop/waypoint" });
    assert.equal((await stream.end()).code, status.PERMISSION_DENIED);
    assert.equal(stream.responses.length, 0);
  }
});
