/**
 * What an application may do with a TCP connection it may do through the mesh: ends, half ends,
 * resets.
 */
import assert from "node:assert/strict";
import type net from "node:net";
import { after, before, describe, test } from "node:test";
import type { TestCluster } from "#test/support/cluster.ts";
import { namespace, pod } from "#test/support/objects.ts";
import { PodSockets, readBytes, readToEnd } from "#test/support/pod-sockets.ts";
import { openConnections, startMesh } from "#test/support/ztunnel-view.ts";

const PORT = 8080;
const TRANSFER_BYTES = 2 * 1024 * 1024;
/** More than all buffers and windows of a path hold. */
const SATURATING_BYTES = 32 * 1024 * 1024;

const OBJECTS = [
  namespace("meshed", "ambient"),
  namespace("unmeshed", undefined),
  ...["meshed", "unmeshed"].flatMap((side) => [
    ...pod({ namespace: side, name: "client", node: "node1" }),
    ...pod({ namespace: side, name: "near", node: "node1" }),
    ...pod({ namespace: side, name: "far", node: "node2" }),
  ]),
];

interface Path {
  readonly client: string;
  readonly server: string;
  readonly family: "ipv4" | "ipv6";
}

/** The ways through ztunnel, each with another pair of ends in it. */
const PATHS: Readonly<Record<string, Path>> = {
  "HBONE to another node": { client: "meshed/client", server: "meshed/far", family: "ipv4" },
  "HBONE on one node": { client: "meshed/client", server: "meshed/near", family: "ipv4" },
  "HBONE over IPv6": { client: "meshed/client", server: "meshed/far", family: "ipv6" },
  "plaintext out of the mesh": { client: "meshed/client", server: "unmeshed/far", family: "ipv4" },
  "plaintext into the mesh": { client: "unmeshed/client", server: "meshed/far", family: "ipv4" },
  "plaintext over IPv6": { client: "unmeshed/client", server: "meshed/far", family: "ipv6" },
};

/** Both ends of one connection. */
interface Pair {
  readonly client: net.Socket;
  readonly server: net.Socket;
}

let cluster: TestCluster;
let sockets: PodSockets;
let onConnection: (socket: net.Socket) => void = () => undefined;

before(async () => {
  cluster = await startMesh({ objects: OBJECTS });
  sockets = new PodSockets(cluster);
  for (const server of new Set(Object.values(PATHS).map((path) => path.server))) {
    await sockets.serve(server, PORT, (socket) => onConnection(socket));
  }
});

after(async () => {
  sockets?.[Symbol.dispose]();
  await cluster?.stop();
});

async function connect({ client, server, family }: Path): Promise<Pair> {
  const accepted = new Promise<net.Socket>((resolve) => {
    onConnection = resolve;
  });
  const ip = await cluster.podIp(server, family);
  const [dialled, served] = await Promise.all([sockets.dial(client, { ip, port: PORT }), accepted]);
  return { client: dialled, server: served };
}

/** Both ends write more than fits, and each reads only the beginning of what comes. */
async function saturate({ client, server }: Pair): Promise<void> {
  const block = Buffer.alloc(64 * 1024);
  for (const socket of [client, server]) {
    for (let sent = 0; sent < SATURATING_BYTES; sent += block.length) socket.write(block);
  }
  await Promise.all([readBytes(client, block.length), readBytes(server, block.length)]);
}

for (const [name, path] of Object.entries(PATHS)) {
  describe(name, () => {
    test("carries a server that speaks first (D4.11)", async () => {
      const { client, server } = await connect(path);
      server.write("220 mail.shop ESMTP\r\n");
      assert.equal(String(await readBytes(client, 21)), "220 mail.shop ESMTP\r\n");
      client.write("QUIT\r\n");
      assert.equal(String(await readBytes(server, 6)), "QUIT\r\n");
      server.end("221 bye\r\n");
      client.end();
      const ending = await readToEnd(client);
      assert.deepEqual([ending.how, String(ending.received)], ["end", "221 bye\r\n"]);
    });

    test("carries the answer after the client has half-closed (D4.12)", async () => {
      const { client, server } = await connect(path);
      client.end("request");
      const request = await readToEnd(server);
      assert.deepEqual([request.how, String(request.received)], ["end", "request"]);
      const answer = Buffer.alloc(TRANSFER_BYTES, "answer");
      server.end(answer);
      const ending = await readToEnd(client);
      assert.equal(ending.how, "end");
      assert.ok(ending.received.equals(answer), `${ending.received.length} bytes`);
    });

    test("carries what the client sends after the server has half-closed (D4.12)", async () => {
      const { client, server } = await connect(path);
      server.end("that is all from here");
      const greeting = await readToEnd(client);
      assert.deepEqual([greeting.how, String(greeting.received)], ["end", "that is all from here"]);
      const upload = Buffer.alloc(TRANSFER_BYTES, "upload");
      client.end(upload);
      const ending = await readToEnd(server);
      assert.equal(ending.how, "end");
      assert.ok(ending.received.equals(upload), `${ending.received.length} bytes`);
    });

    test("carries both ends' last bytes when they close at once", async () => {
      const { client, server } = await connect(path);
      client.end("from the client");
      server.end("from the server");
      const [atClient, atServer] = await Promise.all([readToEnd(client), readToEnd(server)]);
      assert.deepEqual([atClient.how, String(atClient.received)], ["end", "from the server"]);
      assert.deepEqual([atServer.how, String(atServer.received)], ["end", "from the client"]);
    });

    test("shows the server a reset by the client as a reset (D4.13)", async () => {
      const { client, server } = await connect(path);
      const ending = readToEnd(server);
      client.resetAndDestroy();
      assert.equal((await ending).how, "reset");
    });

    test("shows the client a reset by the server as a reset (D4.13)", async () => {
      const { client, server } = await connect(path);
      const ending = readToEnd(client);
      server.resetAndDestroy();
      assert.equal((await ending).how, "reset");
    });

    test("shows the server a reset in the middle of transfers both ways as a reset (D4.13)", async () => {
      const pair = await connect(path);
      await saturate(pair);
      const ending = readToEnd(pair.server);
      pair.client.resetAndDestroy();
      assert.equal((await ending).how, "reset");
    });

    test("shows the client a reset in the middle of transfers both ways as a reset (D4.13)", async () => {
      const pair = await connect(path);
      await saturate(pair);
      const ending = readToEnd(pair.client);
      pair.server.resetAndDestroy();
      assert.equal((await ending).how, "reset");
    });

    test("shows the client a reset by a server that had half-closed before", async () => {
      const { client, server } = await connect(path);
      server.end();
      assert.equal((await readToEnd(client)).how, "end");
      const failed = new Promise<string>((resolve) => {
        client.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
      });
      server.resetAndDestroy();
      // Nobody reads a direction that is over: it is writing that tells.
      await cluster.until("writing fails", () => client.destroyed || !client.write("more"));
      assert.match(await failed, /ECONNRESET|EPIPE/);
    });

    test("carries a message of one byte without waiting for more", async () => {
      const { client, server } = await connect(path);
      server.pipe(server);
      const times: number[] = [];
      for (let i = 0; i < 21; i++) {
        const sentAt = performance.now();
        client.write("x");
        await readBytes(client, 1);
        times.push(performance.now() - sentAt);
      }
      const median = times.sort((a, b) => a - b)[10] ?? Number.NaN;
      // With Nagle's algorithm on a hop it is 40 ms and more.
      assert.ok(median < 20, `the median of ${times.length} round trips is ${median} ms`);
      client.end();
      assert.equal((await readToEnd(client)).how, "end");
    });
  });
}

test("no ztunnel holds a connection afterwards", async () => {
  for (const node of ["node1", "node2"]) {
    await cluster.until(`${node} has no open connection`, async () => {
      return (await openConnections(cluster, node)).length === 0;
    });
  }
});
