/** Clients that want more than there is: what they meet, and what becomes of the others. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import net from "node:net";
import { describe, test } from "node:test";
import { connectTo } from "#test/support/hbone-peer.ts";
import { InboundFixture, POD_IP } from "./inbound-fixture.ts";

const MIB = 1024 * 1024;
const STREAMS = 16;
/** Much more than a window and what the kernel holds of a connection that is not read. */
const FLOOD = Buffer.alloc(32 * MIB);

/** An application that takes connections and reads nothing. */
async function silentApplication(): Promise<{ port: number; close: () => void }> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ pauseOnConnect: true }, (socket) => {
    sockets.add(socket.on("error", () => undefined));
  });
  server.listen(0, POD_IP);
  await once(server, "listening");
  const close = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { port: (server.address() as net.AddressInfo).port, close };
}

async function openStream(session: ClientHttp2Session, port: number): Promise<ClientHttp2Stream> {
  const { status, stream } = await connectTo(session, `${POD_IP}:${port}`);
  assert.equal(status, 200);
  return stream.on("error", () => undefined);
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`it does not hold that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Fills streams to an application that does not read; those that were cut. */
async function flood(fixture: InboundFixture, sessions: readonly ClientHttp2Session[]) {
  const { port, close } = await silentApplication();
  const streams: ClientHttp2Stream[] = [];
  for (const session of sessions) {
    for (let i = 0; i < STREAMS; i++) streams.push(await openStream(session, port));
  }
  for (const stream of streams) stream.write(FLOOD);
  await until("some are cut", () => fixture.closures.some((why) => why?.limit === "stalled-bytes"));
  return { streams, close };
}

describe("streams that nobody reads from", () => {
  test("are cut where one tunnel has too much in them; its other streams go on", async () => {
    const stalled = { perTunnel: 16 * MIB, perWorker: 1024 * MIB };
    const fixture = await InboundFixture.start({ stalled });
    const session = await fixture.dial();
    const echo = await openStream(session, fixture.appPort);
    const { streams, close } = await flood(fixture, [session]);
    const cut = () => streams.filter((stream) => stream.closed);
    // Half a window or more waits in each: eight of them are as much as is allowed.
    await until("enough are cut", () => streams.length - cut().length <= 8);
    for (const { rstCode } of cut()) {
      assert.equal(rstCode, http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
    }
    assert.ok(cut().length < streams.length, "what is within the bound stands");
    const why = fixture.closures.find((each) => each !== undefined);
    assert.equal(why?.reason, "limit-reached");
    assert.match(why?.message ?? "", /bytes wait unread/);
    const chunks: Buffer[] = [];
    echo.on("data", (chunk: Buffer) => chunks.push(chunk)).end("ping");
    // Node 26.10 crashes now and then where a client's session is destroyed in the very turn in
    // which one of its streams is, with others in the middle of a large write.
    await once(echo, "close");
    assert.match(Buffer.concat(chunks).toString(), /ping$/);
    session.destroy();
    close();
    await fixture.stop();
  });

  test("are cut where those of all tunnels have too much", async () => {
    const stalled = { perTunnel: 64 * MIB, perWorker: 65 * MIB };
    const fixture = await InboundFixture.start({ stalled });
    const sessions = [await fixture.dial(), await fixture.dial()];
    const { close } = await flood(fixture, sessions);
    for (const session of sessions) session.destroy();
    close();
    await fixture.stop();
  });
});

describe("a stream beyond the connections", () => {
  const bounds = [
    [
      "of a data worker",
      "connections-per-worker",
      { connectionsPerWorker: 3, connectionsPerPod: 9 },
    ],
    ["of a pod", "connections-per-pod", { connectionsPerWorker: 9, connectionsPerPod: 2 }],
  ] as const;
  for (const [whose, limit, capacity] of bounds) {
    test(`${whose} is answered 503, and one is taken when another has ended`, async () => {
      const fixture = await InboundFixture.start({ capacity });
      const session = await fixture.dial();
      const [first] = [
        await openStream(session, fixture.appPort),
        await openStream(session, fixture.appPort),
      ];
      const { status } = await connectTo(session, `${POD_IP}:${fixture.appPort}`);
      assert.equal(status, 503);
      assert.equal(fixture.lastRefusal?.limit, limit);
      first?.close(http2.constants.NGHTTP2_CANCEL);
      await until("it has ended", () => fixture.closures.length === 1);
      await openStream(session, fixture.appPort);
      session.destroy();
      await fixture.stop();
    });
  }
});

test("while memory is short new streams and tunnels are refused, and what stands goes on", async () => {
  const fixture = await InboundFixture.start();
  const session = await fixture.dial();
  const standing = await openStream(session, fixture.appPort);
  fixture.setMemoryIsShort(true);
  const { status } = await connectTo(session, `${POD_IP}:${fixture.appPort}`);
  assert.equal(status, 503);
  assert.equal(fixture.lastRefusal?.limit, "memory");
  await assert.rejects(fixture.dial());
  standing.resume().end("ping");
  await once(standing, "end");
  fixture.setMemoryIsShort(false);
  const again = await fixture.dial();
  await openStream(again, fixture.appPort);
  for (const each of [session, again]) each.destroy();
  await fixture.stop();
});
