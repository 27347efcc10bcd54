import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Bench, check, onBench } from "#test/codec-suite/check.ts";
import { eventually } from "#test/codec-suite/raw-connection.ts";
import type { ServerExchangeEvents } from "../exchange.ts";
import { HeaderList } from "../header-list.ts";
import { httpProxyForwarder } from "./http-proxy-forwarder.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const EVENTS: ServerExchangeEvents = {
  onData: () => true,
  onEnd: () => undefined,
  onDrain: () => undefined,
  onClosed: () => undefined,
};

function onServer(name: string, run: (bench: Bench) => Promise<void>): void {
  test(name, () => onBench(httpProxyForwarder, check(name, run)));
}

describe("a client of node:http's server", { timeout: 120_000 }, () => {
  onServer("that pipelines without end is served one by one, and held back", async (bench) => {
    const { open, upstream, proxy } = bench;
    const client = await open();
    const many = Buffer.from(GET.repeat(1_000));
    let taken = 0;
    let total = 0;
    for (; total < 64 << 20; total += many.length) {
      client.socket.write(many, () => {
        taken += many.length;
      });
    }
    await (await upstream.next()).head();
    let before = -1;
    for (let same = 0; same < 20; ) {
      same = taken === before ? same + 1 : 0;
      before = taken;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.ok(taken < total, "all of it was taken in");
    assert.equal(client.closed, false);
    assert.equal(proxy.exchanges.length, 1);
  });

  onServer("that sends garbage behind a request gets the answer, then the end", async (bench) => {
    const client = await bench.open();
    client.write(`${GET}not HTTP\r\n\r\n`);
    const connection = await bench.upstream.next();
    await connection.head();
    connection.write(OK);
    assert.match(await client.rest(), /^HTTP\/1\.1 200 OK\r\n.*connection: close\r\n.*ok$/is);
    assert.equal(bench.proxy.exchanges.length, 1);
  });

  onServer("never takes a response for complete that is not as long as it said", async (bench) => {
    for (const body of ["abc", "abcdefg"]) {
      bench.proxy.handler = (exchange) => {
        exchange.start(EVENTS);
        exchange.respond({ status: 200, headers: new HeaderList() }, { kind: "known", bytes: 5 });
        exchange.write(Buffer.from(body));
        exchange.end();
      };
      const client = await bench.open();
      client.write(GET);
      await client.wait(() => client.closed, "the cut");
      assert.ok(client.wasReset);
    }
  });

  onServer("that leaves before its turn is not asked for", async ({ open, upstream, proxy }) => {
    const client = await open();
    client.write(GET.repeat(3));
    const connection = await upstream.next();
    await connection.head();
    client.socket.resetAndDestroy();
    await eventually(() => proxy.connections.size === 0, "the connection to go");
    assert.equal(proxy.exchanges.length, 1);
  });
});
