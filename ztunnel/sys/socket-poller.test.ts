import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import type { IpAddress } from "#common/model/ip.ts";
import { BROKEN, READABLE, SocketPoller, WRITABLE } from "./socket-poller.ts";

const LOCALHOST = "127.0.0.1" as IpAddress;
const LOCALHOST_IPV6 = "::1" as IpAddress;

/**
 * The bits of the next event on a descriptor, others passed over; 0 if none comes in half a second.
 */
function nextEvent(poller: SocketPoller, fd: number): number {
  for (let round = 0; round < 50; round++) {
    const count = poller.wait(10);
    for (let i = 0; i < count; i++) if (poller.fdAt(i) === fd) return poller.eventsAt(i);
  }
  return 0;
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, LOCALHOST);
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

for (const ip of [LOCALHOST, LOCALHOST_IPV6]) {
  test(`connects to itself over ${ip}, sends, receives and sees the end`, async () => {
    const poller = new SocketPoller();
    const address = { ip, port: await freePort() };
    const listener = poller.listen(address, 16);
    assert.equal(poller.accept(listener), -1);
    const client = poller.connect(address);
    assert.ok(nextEvent(poller, client) & WRITABLE);
    assert.ok(nextEvent(poller, listener) & READABLE);
    const server = poller.accept(listener);
    const buffer = Buffer.alloc(64);
    assert.equal(poller.receive(server, buffer), -1);
    assert.equal(poller.send(client, Buffer.from("hello"), 5), 5);
    assert.ok(nextEvent(poller, server) & READABLE);
    assert.equal(poller.receive(server, buffer), 5);
    assert.equal(buffer.toString("utf8", 0, 5), "hello");
    poller.close(client);
    assert.ok(nextEvent(poller, server) & READABLE);
    assert.equal(poller.receive(server, buffer), 0);
    poller.close(server);
    poller.close(listener);
  });
}

test("reports a refused connection as broken", async () => {
  const poller = new SocketPoller();
  const fd = poller.connect({ ip: LOCALHOST, port: await freePort() });
  assert.ok(nextEvent(poller, fd) & BROKEN);
  poller.close(fd);
});

test("ticks once per period, without drift", () => {
  const poller = new SocketPoller();
  const started = performance.now();
  const timer = poller.startTimer(2_000_000);
  for (let tick = 0; tick < 50; tick++) {
    assert.equal(poller.wait(1000), 1);
    poller.clearTimer(timer);
  }
  const elapsedMs = performance.now() - started;
  poller.close(timer);
  assert.ok(elapsedMs >= 99, `50 ticks of 2 ms took only ${elapsedMs} ms`);
});
