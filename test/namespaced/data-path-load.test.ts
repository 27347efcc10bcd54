/** Much at once: large transfers both ways, many connections, readers that do not read. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type net from "node:net";
import { after, before, test } from "node:test";
import { HBONE_STREAM_WINDOW_BYTES } from "#common/hbone/settings.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import { namespace, pod } from "#test/support/objects.ts";
import { PodSockets, readBytes, readToEnd, type Target } from "#test/support/pod-sockets.ts";
import { openConnections, processUse, startMesh } from "#test/support/ztunnel-view.ts";

const MIB = 1024 * 1024;
/** Each way, at the same time. */
const TRANSFER_BYTES = 1024 * MIB;
const CONNECTIONS = 2_000;
const STALLED = 20;
/** All of one connection's buffers together: the kernel's four and the window. */
const BUFFERED_BYTES = 32 * MIB;
const PORT = 8080;
const NODES = ["node1", "node2"] as const;

const OBJECTS = [
  namespace("shop", "ambient"),
  ...pod({ namespace: "shop", name: "client", node: "node1" }),
  ...pod({ namespace: "shop", name: "server", node: "node2" }),
];

let cluster: TestCluster;
let sockets: PodSockets;
let target: Target;
let onConnection: (socket: net.Socket) => void = () => undefined;

before(async () => {
  cluster = await startMesh({ objects: OBJECTS });
  sockets = new PodSockets(cluster);
  await sockets.serve("shop/server", PORT, (socket) => onConnection(socket));
  target = { ip: await cluster.podIp("shop/server"), port: PORT };
});

after(async () => {
  sockets?.[Symbol.dispose]();
  await cluster?.stop();
});

/** Sends random bytes, each block another, then ends. Resolves to their hash. */
async function send(socket: net.Socket, bytes: number): Promise<string> {
  const hash = createHash("sha256");
  const random = randomBytes(MIB);
  for (let sent = 0; sent < bytes; sent += random.length) {
    const block = Buffer.from(random);
    block.writeDoubleBE(sent);
    hash.update(block);
    if (!socket.write(block)) await once(socket, "drain");
  }
  socket.end();
  return hash.digest("hex");
}

/** Reads to the end; resolves to the hash and the count. */
async function receive(socket: net.Socket): Promise<{ hash: string; bytes: number }> {
  const hash = createHash("sha256");
  let bytes = 0;
  socket.on("data", (chunk: Buffer) => {
    hash.update(chunk);
    bytes += chunk.length;
  });
  await once(socket, "end");
  return { hash: hash.digest("hex"), bytes };
}

/** The connections of both ztunnels are gone. */
async function waitForNone(): Promise<void> {
  for (const node of NODES) {
    await cluster.until(`${node} has no open connection`, async () => {
      return (await openConnections(cluster, node)).length === 0;
    });
  }
}

test(`${STALLED} readers that read nothing bound memory, hold up nobody, and are let go (D4.13, D4.14)`, async () => {
  const before = await Promise.all(NODES.map((node) => processUse(cluster, node)));
  onConnection = (socket) => socket.pause();
  const writers = await sockets.dialMany("shop/client", target, STALLED);
  const sent = writers.map((writer) => pour(writer));
  await untilStill(() => sent.reduce((sum, each) => sum + each(), 0));
  for (const each of sent) assert.ok(each() < BUFFERED_BYTES, `${each()} bytes are in buffers`);
  for (const [i, node] of NODES.entries()) {
    const grown = (await processUse(cluster, node)).rssMb - (before[i]?.rssMb ?? 0);
    assert.ok(
      grown * MIB < STALLED * HBONE_STREAM_WINDOW_BYTES + 32 * MIB,
      `${node}: ${grown} MB more`,
    );
  }

  onConnection = (socket) => socket.pipe(socket);
  const other = await sockets.dial("shop/client", target);
  other.write("x");
  assert.equal(String(await readBytes(other, 1)), "x");
  assert.equal(await tunnelsOf("shop/client"), 1);
  other.end();

  for (const writer of writers) writer.resetAndDestroy();
  await waitForNone();
});

/** Writes as fast as it can for ever; tells how much was taken from it. */
function pour(socket: net.Socket): () => number {
  const block = Buffer.alloc(MIB);
  let taken = 0;
  const write = (): void => {
    socket.write(block, (error) => {
      if (error) return;
      taken += block.length;
      write();
    });
  };
  write();
  return () => taken;
}

/** Waits until a number has not changed for half a second. */
async function untilStill(read: () => number): Promise<void> {
  let last = Number.NaN;
  let since = 0;
  await cluster.until("it stands still", () => {
    const now = read();
    if (now !== last) since = performance.now();
    last = now;
    return performance.now() - since > 500;
  });
}

/** HBONE connections that stand from a pod. */
async function tunnelsOf(from: string): Promise<number> {
  const filter = ["state", "established", "dport", "=", ":15008"];
  const { stdout } = await cluster.inPodNetns(from, ["ss", "-Htn", ...filter]);
  return stdout.trim().split("\n").length;
}

test(`${TRANSFER_BYTES / MIB} MiB arrive intact each way at once`, async () => {
  const accepted = new Promise<net.Socket>((resolve) => {
    onConnection = resolve;
  });
  const client = await sockets.dial("shop/client", target);
  const server = await accepted;
  const [up, atServer, down, atClient] = await Promise.all([
    send(client, TRANSFER_BYTES),
    receive(server),
    send(server, TRANSFER_BYTES),
    receive(client),
  ]);
  assert.deepEqual(atServer, { hash: up, bytes: TRANSFER_BYTES });
  assert.deepEqual(atClient, { hash: down, bytes: TRANSFER_BYTES });
});

test(`${CONNECTIONS} connections at once all get through and leave nothing behind`, async () => {
  await waitForNone();
  const before = await Promise.all(NODES.map((node) => processUse(cluster, node)));
  onConnection = (socket) => socket.pipe(socket);
  const clients = await sockets.dialMany("shop/client", target, CONNECTIONS);
  await Promise.all(
    clients.map(async (client, number) => {
      const text = String(number).padStart(8);
      client.write(text);
      assert.equal(String(await readBytes(client, text.length)), text);
    }),
  );
  for (const node of NODES) {
    assert.equal((await openConnections(cluster, node)).length, CONNECTIONS, node);
  }
  await Promise.all(
    clients.map(async (client) => {
      client.end();
      assert.equal((await readToEnd(client)).how, "end");
    }),
  );
  await waitForNone();
  for (const [i, node] of NODES.entries()) {
    const { descriptors } = await processUse(cluster, node);
    const allowed = (before[i]?.descriptors ?? 0) + CONNECTIONS / 20;
    assert.ok(descriptors <= allowed, `${node} has ${descriptors} descriptors open`);
  }
});
