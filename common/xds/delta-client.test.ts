import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { status } from "@grpc/grpc-js";
import { VERSION } from "#common/runtime/version.ts";
import { COLORS, SERVER_NAME, SHAPES, startTestClient } from "./delta-test-client.ts";
import { DiscoveryServer, makeServerIdentity } from "./delta-test-server.ts";
import type { DiscoveryResource } from "./discovery-rpc.ts";

const identity = makeServerIdentity(SERVER_NAME);

function resource(name: string, version: string, text = `${name}@${version}`, typeUrl = COLORS) {
  const value = Buffer.from(text);
  return { name, aliases: [], version, typeUrl, value } satisfies DiscoveryResource;
}

const ofType = (server: DiscoveryServer, typeUrl: string, from = 0) =>
  server.next(({ request }) => request.typeUrl === typeUrl, from);
const answerTo = (server: DiscoveryServer, nonce: string) =>
  server.next(({ request }) => request.responseNonce === nonce);

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test("a stream begins with a wildcard subscription per type, the node once, token and cluster", async (t) => {
  const server = await DiscoveryServer.start(identity);
  await startTestClient(t, server, identity);
  const { request, metadata } = await ofType(server, COLORS);
  const second = await ofType(server, SHAPES);
  assert.equal(
    request.node?.id,
    "ztunnel~10.0.0.1~ztunnel-x.istio-system~istio-system.svc.cluster.local",
  );
  assert.deepEqual(request.node.metadata, {
    ISTIO_VERSION: VERSION,
    FOO: "bar",
    LIST: [1],
    NAME: "ztunnel-x",
    NAMESPACE: "istio-system",
    INSTANCE_IPS: "10.0.0.1",
    NODE_NAME: "node-1",
    CLUSTER_ID: "Kubernetes",
    NETWORK: "",
  });
  assert.deepEqual([request.subscribe, request.unsubscribe, request.responseNonce], [[], [], ""]);
  assert.equal(request.initialResourceVersions.size, 0);
  assert.equal(second.request.node, undefined);
  assert.deepEqual(metadata.get("authorization"), ["Bearer token-1"]);
  assert.deepEqual(metadata.get("clusterid"), ["Kubernetes"]);
  assert.deepEqual(metadata.get("x-extra"), ["1"]);
});

test("a push is applied, acknowledged, counted, and its type synced once", async (t) => {
  const server = await DiscoveryServer.start(identity);
  const { client, held, synced, bytes } = await startTestClient(t, server, identity);
  await ofType(server, SHAPES);
  assert.deepEqual(client.pending, [COLORS, SHAPES]);
  server.push({ typeUrl: COLORS, nonce: "n1", resources: [resource("red", "1")] });
  const ack = await answerTo(server, "n1");
  assert.equal(ack.request.errorDetail, undefined);
  server.push({ typeUrl: COLORS, nonce: "n2", removedResources: ["red"] });
  await answerTo(server, "n2");
  assert.equal(held.size, 0);
  assert.deepEqual(synced, [COLORS]);
  assert.deepEqual(client.pending, [SHAPES]);
  assert.equal(client.connected, true);
  assert.ok((bytes.get(COLORS) ?? 0) > "red@1".length);
});

test("a bad resource is rejected by name, the good ones of its push are applied", async (t) => {
  const server = await DiscoveryServer.start(identity);
  const { held } = await startTestClient(t, server, identity);
  await ofType(server, COLORS);
  server.push({ typeUrl: COLORS, nonce: "n1", resources: [resource("red", "1")] });
  server.push({
    typeUrl: COLORS,
    nonce: "n2",
    resources: [
      resource("red", "2", "bad"),
      resource("blue", "1"),
      resource("square", "1", "square", SHAPES),
    ],
  });
  const nack = await answerTo(server, "n2");
  assert.match(nack.request.errorDetail?.message ?? "", /^red: it is bad; square: .*type.test/);
  assert.deepEqual(Object.fromEntries(held), { red: "red@1", blue: "blue@1" });
  const before = server.heard.length;
  server.endStreams();
  const again = await ofType(server, COLORS, before);
  assert.deepEqual([...again.request.initialResourceVersions], [["blue", "1"]]);
});

test("a killed and restarted server is told what is held; an empty answer deletes nothing", async (t) => {
  const first = await DiscoveryServer.start(identity);
  const { held, applied, terminations } = await startTestClient(t, first, identity);
  await ofType(first, COLORS);
  const resources = [resource("red", "1"), resource("blue", "7"), resource("green", "2")];
  first.push({ typeUrl: COLORS, nonce: "n1", resources });
  await answerTo(first, "n1");
  first.kill();
  await until(() => terminations.length > 2);
  assert.equal(held.size, 3);
  assert.ok(terminations.slice(1).every((reason) => reason === "ConnectionError"));

  const second = await DiscoveryServer.start(identity, first.port);
  t.after(() => second.kill());
  const { request } = await ofType(second, COLORS);
  assert.deepEqual(Object.fromEntries(request.initialResourceVersions), {
    red: "1",
    blue: "7",
    green: "2",
  });
  second.push({ typeUrl: COLORS, nonce: "m1" });
  await answerTo(second, "m1");
  assert.equal(held.size, 3);
  second.push({ typeUrl: COLORS, nonce: "m2", removedResources: ["blue"] });
  await answerTo(second, "m2");
  assert.deepEqual([...held.keys()], ["red", "green"]);
  assert.deepEqual(applied.at(-1), { upserts: [], removed: ["blue"] });
});

test("a stream that the server ends in order is replaced at once, with the token of the day", async (t) => {
  const server = await DiscoveryServer.start(identity);
  const { tokenFile, terminations } = await startTestClient(t, server, identity);
  await ofType(server, COLORS);
  server.push({ typeUrl: COLORS, nonce: "n1" });
  await answerTo(server, "n1");
  await writeFile(tokenFile, "token-2");
  const before = server.heard.length;
  server.endStreams();
  const { metadata } = await ofType(server, COLORS, before);
  assert.deepEqual(metadata.get("authorization"), ["Bearer token-2"]);
  assert.deepEqual(terminations, ["Complete"]);
});

test("a server whose certificate the roots do not vouch for is refused until the root file has it", async (t) => {
  const server = await DiscoveryServer.start(identity);
  const { rootCertFile, terminations } = await startTestClient(
    t,
    server,
    makeServerIdentity(SERVER_NAME),
  );
  await until(() => terminations.length >= 3);
  assert.equal(server.heard.length, 0);
  assert.ok(terminations.every((reason) => reason === "ConnectionError"));
  await writeFile(rootCertFile, identity.rootPem);
  await ofType(server, COLORS);
});

test("a server with another name than the one asked for is refused", async (t) => {
  const other = makeServerIdentity("elsewhere.test");
  const server = await DiscoveryServer.start(other);
  const { terminations } = await startTestClient(t, server, other);
  await until(() => terminations.length >= 2);
  assert.equal(server.heard.length, 0);
});

test("without a token nothing is sent, and it is tried again", async (t) => {
  const server = await DiscoveryServer.start(identity);
  const { tokenFile, terminations, stop, running } = await startTestClient(t, server, identity);
  await ofType(server, COLORS);
  await rm(tokenFile);
  const before = server.heard.length;
  server.endStreams();
  await until(() => terminations.length >= 4);
  assert.equal(server.heard.length, before);
  await writeFile(tokenFile, "token-3");
  await ofType(server, COLORS, before);
  stop.abort();
  await running;
});

test("resources of a type that was not asked for are ignored", async (t) => {
  const server = await DiscoveryServer.start(identity);
  const { applied, terminations } = await startTestClient(t, server, identity);
  await ofType(server, COLORS);
  server.push({ typeUrl: "type.test/Smell", nonce: "x", resources: [resource("rose", "1")] });
  server.push({ typeUrl: COLORS, nonce: "n1" });
  await answerTo(server, "n1");
  assert.equal(applied.length, 1);
  assert.deepEqual(terminations, []);
});

test("a server that answers for one type and refuses another is asked less and less often", async (t) => {
  const server = await DiscoveryServer.start(identity);
  const { delaysMs } = await startTestClient(t, server, identity, { random: () => 1 });
  let heard = 0;
  for (let round = 0; round < 6; round++) {
    await ofType(server, COLORS, heard);
    server.push({ typeUrl: COLORS, nonce: `n${round}` });
    await answerTo(server, `n${round}`);
    heard = server.heard.length;
    server.failStreams(status.PERMISSION_DENIED, "not for shapes");
    await until(() => delaysMs().length > round);
  }
  assert.deepEqual(delaysMs(), [10, 20, 40, 80, 160, 320]);
});

test("a server that answered and ended in order is asked again as soon as the first time", async (t) => {
  const server = await DiscoveryServer.start(identity);
  const { delaysMs } = await startTestClient(t, server, identity, { random: () => 1 });
  let heard = 0;
  for (let round = 0; round < 3; round++) {
    await ofType(server, COLORS, heard);
    heard = server.heard.length;
    server.failStreams(status.PERMISSION_DENIED, "not today");
    await until(() => delaysMs().length > round);
  }
  await ofType(server, COLORS, heard);
  server.push({ typeUrl: COLORS, nonce: "n1" });
  await answerTo(server, "n1");
  server.endStreams();
  await until(() => delaysMs().length > 3);
  assert.deepEqual(delaysMs(), [10, 20, 40, 10]);
});
