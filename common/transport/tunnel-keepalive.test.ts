/** Peers that stop answering, over real HTTP/2 sessions; only the clock is not. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http2, { type ClientHttp2Session } from "node:http2";
import net, { type AddressInfo } from "node:net";
import { after, type TestContext, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { frame, TYPE } from "#test/support/h2-frames.ts";
import { PING_INTERVAL_MS, PING_TIMEOUT_MS } from "./limits.ts";
import { TunnelKeepalive } from "./tunnel-keepalive.ts";

const servers: net.Server[] = [];
after(() => {
  for (const server of servers) server.close();
});

async function connect(server: net.Server): Promise<ClientHttp2Session> {
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on("error", () => undefined);
  await once(session, "remoteSettings");
  return session;
}

/** Says what HTTP/2 has to begin with, and nothing any more. */
function mute(): net.Server {
  return net.createServer((socket) => {
    socket.on("error", () => undefined).resume();
    socket.write(frame(TYPE.settings, 0, 0, Buffer.alloc(0)));
  });
}

/** The keepalive of these sessions, and its clock: it rings at every interval on the way. */
function keepalive(t: TestContext, sessions: readonly ClientHttp2Session[]) {
  t.mock.timers.enable({ apis: ["setInterval"] });
  let nowMs = 0;
  t.mock.method(performance, "now", () => nowMs);
  const watch = new TunnelKeepalive(() => sessions);
  watch.start();
  t.after(() => {
    watch.stop();
    for (const session of sessions) session.destroy();
  });
  return (ms: number) => {
    nowMs += ms;
    t.mock.timers.tick(PING_INTERVAL_MS);
  };
}

test("D4.48 a peer that stopped answering is dropped within half a minute, others are not", async (t) => {
  const [alive, dead] = [await connect(http2.createServer()), await connect(mute())];
  const tick = keepalive(t, [alive, dead]);
  const closed = once(dead, "close");
  assert.ok(PING_INTERVAL_MS + PING_TIMEOUT_MS <= 30_000);
  for (let ms = 0; ms <= PING_TIMEOUT_MS; ms += PING_INTERVAL_MS) {
    assert.equal(dead.destroyed, false);
    tick(PING_INTERVAL_MS);
    await new Promise((resolve) => alive.ping(resolve));
  }
  await closed;
  assert.equal(alive.destroyed, false);
});

test("D4.80 a stall of our own does not count against a peer that has answered", async (t) => {
  const server = http2.createServer();
  const asked = new Promise((resolve) => {
    server.on("session", (session) => session.once("ping", resolve));
  });
  const session = await connect(server);
  const tick = keepalive(t, [session]);
  tick(PING_INTERVAL_MS);
  await asked;
  // The answer is on its way to us; we come to read it only after a long time.
  tick(3 * PING_TIMEOUT_MS);
  for (let turns = 0; turns < 10; turns++) await turn();
  assert.equal(session.destroyed, false);
});
