import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  HOST_ADDRESSES_MAX_MS,
  HOST_ADDRESSES_MIN_MS,
  HOST_LOOK_UPS,
  HOST_NAMES,
  HOST_STALE_MS,
} from "../limits.ts";
import { type HostAddress, HostResolver } from "./host-resolver.ts";

/** A resolver whose name server and clock are in the test's hands. */
class Bench {
  now = 0;
  asked: string[] = [];
  answer: (hostname: string) => Promise<readonly HostAddress[]> = async () => [
    { address: "192.0.2.1", ttl: 60 },
  ];
  readonly resolver = new HostResolver({
    lookUp: (hostname) => {
      this.asked.push(hostname);
      return this.answer(hostname);
    },
    now: () => this.now,
    onLookUp: () => undefined,
  });
}

const NOTHING = async (): Promise<readonly HostAddress[]> => [];

describe("a host name", () => {
  test("is looked up once for all who wait, and remembered as long as it is good", async () => {
    const bench = new Bench();
    const { resolver } = bench;
    assert.equal(resolver.known("a.example"), undefined);
    const both = await Promise.all([resolver.resolve("a.example"), resolver.resolve("a.example")]);
    assert.deepEqual(both, [["192.0.2.1"], ["192.0.2.1"]]);
    bench.now = 59_999;
    assert.deepEqual(resolver.known("a.example"), ["192.0.2.1"]);
    assert.equal(bench.asked.length, 1);
    bench.now = 60_000;
    assert.equal(resolver.known("a.example"), undefined);
    await resolver.resolve("a.example");
    assert.equal(bench.asked.length, 2);
  });

  for (const [ttl, keptMs] of [
    [0, HOST_ADDRESSES_MIN_MS],
    [86_400, HOST_ADDRESSES_MAX_MS],
  ] as const) {
    test(`good for ${ttl} s is remembered for ${keptMs} ms`, async () => {
      const bench = new Bench();
      bench.answer = async () => [{ address: "192.0.2.1", ttl }];
      await bench.resolver.resolve("a.example");
      bench.now = keptMs - 1;
      assert.ok(bench.resolver.known("a.example"));
      bench.now = keptMs;
      assert.equal(bench.resolver.known("a.example"), undefined);
    });
  }

  test("that cannot be looked up any more keeps its addresses for a while, then has none", async () => {
    const bench = new Bench();
    await bench.resolver.resolve("a.example");
    bench.answer = () => Promise.reject(new Error("refused"));
    bench.now = 60_000 + HOST_STALE_MS - 1;
    assert.deepEqual(await bench.resolver.resolve("a.example"), ["192.0.2.1"]);
    bench.now = 60_000 + HOST_STALE_MS;
    assert.deepEqual(await bench.resolver.resolve("a.example"), []);
  });

  test("without an address is not asked for again at once", async () => {
    const bench = new Bench();
    bench.answer = NOTHING;
    assert.deepEqual(await bench.resolver.resolve("a.example"), []);
    assert.deepEqual(await bench.resolver.resolve("a.example"), []);
    assert.equal(bench.asked.length, 1);
    bench.now = HOST_ADDRESSES_MIN_MS;
    await bench.resolver.resolve("a.example");
    assert.equal(bench.asked.length, 2);
  });

  test("never leads to the pod itself, whatever a name server says", async () => {
    const bench = new Bench();
    bench.answer = async () =>
      ["127.0.0.1", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "nonsense", "192.0.2.9"].map(
        (address) => ({ address, ttl: 60 }),
      );
    assert.deepEqual(await bench.resolver.resolve("a.example"), ["192.0.2.9"]);
  });
});

describe("the bounds of look-ups", () => {
  test("beyond those under way there is no address, at once", async () => {
    const bench = new Bench();
    const { promise, resolve } = Promise.withResolvers<readonly HostAddress[]>();
    bench.answer = () => promise;
    const waiting = Array.from({ length: HOST_LOOK_UPS }, (_, i) => bench.resolver.resolve(`${i}`));
    assert.deepEqual(await bench.resolver.resolve("more"), []);
    assert.equal(bench.asked.length, HOST_LOOK_UPS);
    resolve([{ address: "192.0.2.1", ttl: 60 }]);
    await Promise.all(waiting);
    assert.equal((await bench.resolver.resolve("more")).length, 1);
  });

  test("names are forgotten in the order in which they were looked up", async () => {
    const bench = new Bench();
    for (let i = 0; i <= HOST_NAMES; i++) await bench.resolver.resolve(`n${i}`);
    assert.equal(bench.resolver.known("n0"), undefined);
    assert.ok(bench.resolver.known("n1"));
    assert.ok(bench.resolver.known(`n${HOST_NAMES}`));
  });
});
