import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import { after, test } from "node:test";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { createSecureContext } from "node:tls";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { ClosableCredentials } from "./closable-credentials.ts";
import { makeServerIdentity } from "./delta-test-server.ts";

const NAME = "istiod.test";
const identity = makeServerIdentity(NAME);

/** A server that accepts and says nothing, and its connections. */
const silent = new Set<net.Socket>();
const silentServer = net.createServer((socket) => {
  silent.add(socket);
  socket.on("error", () => undefined).on("close", () => silent.delete(socket));
  socket.resume();
});
silentServer.listen(0, "127.0.0.1");
await once(silentServer, "listening");
after(() => silentServer.close());

function connect(server: net.Server, handshakeTimeoutMs?: number) {
  const context = createSecureContext({ ca: identity.rootPem });
  const own = new ClosableCredentials(
    credentials.createFromSecureContext(context),
    handshakeTimeoutMs,
  );
  const { port } = server.address() as net.AddressInfo;
  const options = { "grpc.ssl_target_name_override": NAME, "grpc.use_local_subchannel_pool": 1 };
  const client = new Client(`127.0.0.1:${port}`, own, options);
  const close = (): void => {
    client.close();
    own.close();
  };
  return { call: () => call(client), close };
}

/** Resolves to the status of a call of nothing. */
function call(client: Client): Promise<number> {
  const same = (bytes: Buffer): Buffer => bytes;
  return new Promise((resolve) => {
    const done = (error: ServiceError | null): void => resolve(error?.code ?? status.OK);
    client.makeUnaryRequest("/none/None", same, same, Buffer.alloc(0), new Metadata(), {}, done);
  });
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(5);
}

test("a connection whose handshake is not over ends with its channel", async () => {
  for (let round = 0; round < 5; round++) {
    const { call, close } = connect(silentServer);
    void call();
    await until(() => silent.size > 0);
    close();
    await until(() => silent.size === 0);
  }
});

test("a channel that is closed at any moment of its connecting leaves nothing behind", async () => {
  const { certificatePem: cert, privateKeyPem: key } = identity;
  const server = http2.createSecureServer({ cert, key });
  // As a call that is over before its channel is closed.
  server.on("stream", (stream) => stream.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  for (let turns = 0; turns < 60; turns++) {
    const { call, close } = connect(server);
    void call();
    for (let i = 0; i < turns; i++) await turn();
    close();
  }
  const connections = (): Promise<number> =>
    new Promise((resolve, reject) => {
      server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
    });
  await until(async () => (await connections()) === 0);
  server.close();
});

test("a server that accepts and says nothing is given up, and tried again", async () => {
  const { call, close } = connect(silentServer, 50);
  assert.equal(await call(), status.UNAVAILABLE);
  await until(() => silent.size === 0);
  // The channel has waited its turn and tries by itself where there are calls.
  assert.equal(await call(), status.UNAVAILABLE);
  close();
});
