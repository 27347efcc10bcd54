import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { FlushBatcher } from "#common/transport/flush-batcher.ts";
import { type RelayOutcome, relay } from "#common/transport/relay.ts";
import { TCP_WRITE_QUEUE_BYTES } from "#ztunnel/limits.ts";
import { createLinuxSyscalls } from "#ztunnel/sys/linux.ts";
import { acceptHandles } from "./node-internals.ts";
import { bestRawTcp, type RawTcpFactory, socketTcp } from "./raw-tcp.ts";
import { SlabPool } from "./read-buffers.ts";
import { type TcpContext, TcpEnd } from "./tcp-end.ts";

const syscalls = createLinuxSyscalls();

interface Path {
  readonly client: net.Socket;
  readonly server: net.Socket;
  readonly done: Promise<RelayOutcome>;
}

async function listen(server: net.Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as net.AddressInfo).port;
}

/** client -> relay -> server, all on loopback; both listeners are closed at once. */
async function openPath(rawTcp: RawTcpFactory): Promise<Path> {
  const context: TcpContext = {
    batcher: new FlushBatcher(),
    slabs: new SlabPool(),
    syscalls,
    rawTcp,
  };
  const backend = net.createServer({ allowHalfOpen: true });
  const backendPort = await listen(backend);
  const front = net.createServer();
  const frontPort = await listen(front);
  const serverSide = once(backend, "connection") as Promise<[net.Socket]>;
  const done = new Promise<RelayOutcome>((resolve) => {
    acceptHandles(
      front,
      (handle) => void bridge(TcpEnd.accepted(handle, context), backendPort, context, resolve),
      () => undefined,
    );
  });
  const client = net.connect({ port: frontPort, host: "127.0.0.1", allowHalfOpen: true });
  const [server] = await serverSide;
  backend.close();
  front.close();
  return { client, server, done };
}

async function bridge(
  downstream: TcpEnd,
  port: number,
  context: TcpContext,
  resolve: (outcome: RelayOutcome) => void,
): Promise<void> {
  const upstream = TcpEnd.connecting(syscalls.openTcpSocket({ family: "ipv4", mark: 0 }), context);
  const error = await new Promise((done) => upstream.connect("127.0.0.1", port, done));
  assert.equal(error, undefined);
  relay(downstream, upstream, resolve);
}

function collect(socket: net.Socket): Promise<{ bytes: number; hash: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    hash.update(chunk);
  });
  return once(socket, "end").then(() => ({ bytes, hash: hash.digest("hex") }));
}

async function send(socket: net.Socket, chunk: Buffer, times: number): Promise<string> {
  const hash = createHash("sha256");
  for (let i = 0; i < times; i++) {
    hash.update(chunk);
    if (!socket.write(chunk)) await once(socket, "drain");
  }
  socket.end();
  return hash.digest("hex");
}

for (const [over, rawTcp] of [
  ["", bestRawTcp()],
  [", over sockets too", socketTcp],
] as const) {
  test(`64 MiB each way at once arrive intact and in order${over}`, async () => {
    const { client, server, done } = await openPath(rawTcp);
    const toServer = collect(server);
    const toClient = collect(client);
    const sent = await Promise.all([
      send(client, randomBytes(65_537), 1024),
      send(server, randomBytes(8_191), 8192),
    ]);
    assert.equal((await toServer).hash, sent[0]);
    assert.equal((await toClient).hash, sent[1]);
    assert.deepEqual(await done, { error: undefined, brokenBy: undefined });
  });

  test(`a client that half-closes first still gets the whole answer${over}`, async () => {
    const { client, server, done } = await openPath(rawTcp);
    const answer = collect(client);
    client.end("question");
    const question = await collect(server);
    assert.equal(question.bytes, 8);
    server.end(Buffer.alloc(300_000));
    assert.equal((await answer).bytes, 300_000);
    assert.equal((await done).error, undefined);
  });

  test(`a server that half-closes first still gets what the client sends after${over}`, async () => {
    const { client, server, done } = await openPath(rawTcp);
    server.end("bye");
    client.resume();
    await once(client, "end");
    const late = collect(server);
    client.end(Buffer.alloc(300_000));
    assert.equal((await late).bytes, 300_000);
    assert.equal((await done).error, undefined);
  });

  test(`a reset by the server reaches the client as a reset${over}`, async () => {
    const { client, server, done } = await openPath(rawTcp);
    client.write("x");
    await once(server, "data");
    server.resetAndDestroy();
    client.resume();
    const [error] = (await once(client, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNRESET");
    assert.equal((await done).brokenBy, "upstream");
  });

  test(`a reset by the client reaches the server as a reset${over}`, async () => {
    const { client, server, done } = await openPath(rawTcp);
    client.write("x");
    await once(server, "data");
    client.resetAndDestroy();
    const [error] = (await once(server, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNRESET");
    assert.equal((await done).brokenBy, "downstream");
  });

  test(`a reader that stops holds the sender back${over}`, async () => {
    const { client, server, done } = await openPath(rawTcp);
    server.pause();
    const chunk = Buffer.alloc(1 << 20);
    let accepted = 0;
    // Until a write has not drained for a while: kernel buffers and our queue are full then.
    for (let full = false; !full; ) {
      accepted += chunk.length;
      if (client.write(chunk)) continue;
      const drained = once(client, "drain").then(() => true);
      full = !(await Promise.race([drained, new Promise((r) => setTimeout(r, 500, false))]));
    }
    assert.ok(accepted < 64 * (1 << 20), `${accepted} bytes were taken without a reader`);
    assert.ok(accepted > TCP_WRITE_QUEUE_BYTES);
    client.destroy();
    server.destroy();
    assert.notEqual((await done).error, undefined);
  });
}

test("a descriptor that is not open is an error", () => {
  const context = { batcher: new FlushBatcher(), slabs: new SlabPool(), syscalls };
  for (const rawTcp of [bestRawTcp(), socketTcp]) {
    assert.throws(() => TcpEnd.connecting(1_000_000, { ...context, rawTcp }));
  }
});
