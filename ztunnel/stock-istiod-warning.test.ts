import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client, credentials, Metadata, Server, ServerCredentials } from "@grpc/grpc-js";
import { CaptureService } from "#common/xds/capture-rpc.ts";
import { warnOfStockIstiod } from "./stock-istiod-warning.ts";

/** A server that knows the service, and one that knows none. */
const servers: Server[] = [];
const clients: Client[] = [];
before(async () => {
  for (const isOurs of [true, false]) {
    const server = new Server();
    const departure = (_: unknown, answer: (error: null, value: object) => void) =>
      answer(null, { forGood: false });
    if (isOurs) server.addService(CaptureService, { departure });
    const insecure = ServerCredentials.createInsecure();
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", insecure, (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    servers.push(server);
    clients.push(new Client(`127.0.0.1:${port}`, credentials.createInsecure()));
  }
});
after(() => {
  for (const client of clients) client.close();
  for (const server of servers) server.forceShutdown();
});

async function warnings(which: 0 | 1, pods = false): Promise<readonly string[]> {
  const said: string[] = [];
  const client = clients[which];
  assert.ok(client !== undefined);
  await warnOfStockIstiod(
    {
      channel: { client: async () => client, metadata: async () => new Metadata() },
      node: "node-1",
      hasPods: () => pods,
      log: { warn: (message, fields) => void said.push(`${message} ${JSON.stringify(fields)}`) },
      patienceMs: 1,
    },
    new AbortController().signal,
  );
  return said;
}

test("an istiod that names no pods, and cannot, is told from one that may yet", async () => {
  const [warning = "", ...more] = await warnings(1);
  assert.match(warning, /INPOD_UDS=\/var\/run\/ztunnel\/ztunnel\.sock/);
  assert.deepEqual(more, []);
  assert.deepEqual(await warnings(0), []);
});

test("nothing is said where pods have come", async () => {
  assert.deepEqual(await warnings(1, true), []);
});
