import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { MeshError } from "#common/runtime/errors.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import { ControlPlaneChannel } from "./control-plane-channel.ts";
import { DeltaClient, type TerminationReason } from "./delta-client.ts";
import { DiscoveryServer, makeServerIdentity } from "./delta-test-server.ts";
import type { DiscoveryResource } from "./discovery-rpc.ts";
import { ztunnelNode } from "./node-identity.ts";
import { ResourceHandler } from "./resource-handler.ts";

const COLORS = "type.test/Color";
const SHAPES = "type.test/Shape";
const identity = makeServerIdentity("istiod.test");

const directory = await mkdtemp(join(tmpdir(), "delta-client-"));
after(() => rm(directory, { recursive: true }));

/** A client with two types whose resources are their bytes as text; "bad" is refused. */
/** Root certificate and token as a pod has them. */
async function credentialFiles(rootPem: string) {
  const files = await mkdtemp(join(directory, "client-"));
  const rootCertFile = join(files, "root.pem");
  const tokenFile = join(files, "token");
  await writeFile(rootCertFile, rootPem);
  await writeFile(tokenFile, "token-1\n");
  return { rootCertFile, tokenFile };
}

/** What a client was told, by handlers of two types. */
function recorder() {
  const held = new Map<string, string>();
  const applied: { upserts: string[]; removed: readonly string[] }[] = [];
  const handler = (typeUrl: string) =>
    ResourceHandler.of<string>({
      typeUrl,
      decode: (bytes) => {
        const text = Buffer.from(bytes).toString();
        if (text === "bad") throw new MeshError("INVALID_RESOURCE", "it is bad");
        return text;
      },
      apply: (upserts, removed) => {
        applied.push({ upserts: upserts.map(({ name }) => name), removed });
        for (const name of removed) held.delete(name);
        for (const { name, value } of upserts) held.set(name, value);
      },
    });
  return { held, applied, handlers: [handler(COLORS), handler(SHAPES)] };
}

const NODE = ztunnelNode({
  ip: "10.0.0.1",
  podName: "ztunnel-x",
  podNamespace: "istio-system",
  nodeName: "node-1",
  clusterId: "Kubernetes",
  network: "",
  env: { ISTIO_META_FOO: "bar", ISTIO_METAJSON_LIST: "[1]", OTHER: "no" },
});

async function startClient(t: TestContext, server: DiscoveryServer, roots = identity) {
  const { rootCertFile, tokenFile } = await credentialFiles(roots.rootPem);
  const { held, applied, handlers } = recorder();
  const terminations: TerminationReason[] = [];
  const bytes = new Map<string, number>();
  const synced: string[] = [];
  const channel = new ControlPlaneChannel({
    url: `https://127.0.0.1:${server.port}`,
    rootCertFile,
    serverName: "istiod.test",
    tokenFile,
    clusterId: "Kubernetes",
    headers: { "x-extra": "1" },
  });
  const write = (line: string): void => void process.stderr.write(line);
  const logger = createLogger({ level: "info", format: "text", write });
  const counters = {
    terminated: (reason: TerminationReason) => void terminations.push(reason),
    received: (url: string, count: number) => void bytes.set(url, (bytes.get(url) ?? 0) + count),
  };
  const onSynced = (typeUrl: string): void => void synced.push(typeUrl);
  const client = new DeltaClient({ channel, handlers, logger, counters, onSynced }, NODE);
  const stop = new AbortController();
  const running = client.run(stop.signal);
  t.after(async () => {
    stop.abort();
    await running;
    server.kill();
  });
  return {
    client,
    stop,
    running,
    rootCertFile,
    tokenFile,
    held,
    applied,
    terminations,
    bytes,
    synced,
  };
}

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
  await startClient(t, server);
  const { request, metadata } = await ofType(server, COLORS);
  const second = await ofType(server, SHAPES);
  assert.equal(
    request.node?.id,
    "ztunnel~10.0.0.1~ztunnel-x.istio-system~istio-system.svc.cluster.local",
  );
  assert.deepEqual(request.node.metadata, {
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
  const { client, held, synced, bytes } = await startClient(t, server);
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
  const { held } = await startClient(t, server);
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
  const { held, applied, terminations } = await startClient(t, first);
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
  const { tokenFile, terminations } = await startClient(t, server);
  await ofType(server, COLORS);
  server.push({ typeUrl: COLORS, nonce: "n1" });
  await answerTo(server, "n1");
  await writeFile(tokenFile, "token-2");
  const before = server.heard.length;
  const startedAt = performance.now();
  server.endStreams();
  const { metadata } = await ofType(server, COLORS, before);
  assert.ok(performance.now() - startedAt < 1000);
  assert.deepEqual(metadata.get("authorization"), ["Bearer token-2"]);
  assert.deepEqual(terminations, ["Complete"]);
});

test("a server whose certificate the roots do not vouch for is refused until the root file has it", async (t) => {
  const server = await DiscoveryServer.start(identity);
  const { rootCertFile, terminations } = await startClient(
    t,
    server,
    makeServerIdentity("istiod.test"),
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
  const { terminations } = await startClient(t, server, other);
  await until(() => terminations.length >= 2);
  assert.equal(server.heard.length, 0);
});

test("without a token nothing is sent, and it is tried again", async (t) => {
  const server = await DiscoveryServer.start(identity);
  const { tokenFile, terminations, stop, running } = await startClient(t, server);
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
  const { applied, terminations } = await startClient(t, server);
  await ofType(server, COLORS);
  server.push({ typeUrl: "type.test/Smell", nonce: "x", resources: [resource("rose", "1")] });
  server.push({ typeUrl: COLORS, nonce: "n1" });
  await answerTo(server, "n1");
  assert.equal(applied.length, 1);
  assert.deepEqual(terminations, []);
});
