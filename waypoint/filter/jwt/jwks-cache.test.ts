import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { JwksCache, type KeySource } from "./jwks-cache.ts";
import { createJwksFetch, isRemote } from "./jwks-fetch.ts";
import {
  JWKS_BYTES,
  JWKS_FRESH_MS,
  JWKS_RETRY_MS,
  JWKS_STALE_MS,
  JWKS_UNKNOWN_KEY_MS,
} from "./limits.ts";
import { type JwksServer, jwks, jwksServer, type TestKey, testKey } from "./token-fixtures.ts";

const anywhere = createJwksFetch({ mayConnect: () => true });

describe("keys by URI", () => {
  let server: JwksServer;
  let keys: TestKey;
  let rotated: TestKey;
  let source: KeySource;
  let now = 0;
  let failures: string[] = [];

  beforeEach(async () => {
    [keys, rotated] = await Promise.all([testKey("one"), testKey("two")]);
    server = await jwksServer(jwks(keys));
    now = 1_000_000;
    failures = [];
    const cache = new JwksCache({
      fetch: anywhere,
      now: () => now,
      onFailure: (_, error) => failures.push(String((error as Error).cause)),
    });
    source = cache.source(server.uri, 2_000);
  });
  afterEach(() => server.close());

  async function verifies(key: TestKey): Promise<boolean> {
    const known = source.current() ?? (await source.load());
    const header = { alg: "ES256", kid: key.jwk.kid };
    return (await known?.verify(await key.sign({}), header)) === "valid";
  }

  test("are fetched once and used by all who wait", async () => {
    assert.equal(source.current(), undefined);
    await Promise.all([source.load(), source.load(), source.load()]);
    assert.equal(await verifies(keys), true);
    assert.equal(server.requests, 1);
  });

  test("are fetched again in the background when they are no longer fresh", async () => {
    await source.load();
    server.answer = { status: 200, body: jwks(rotated) };
    now += JWKS_FRESH_MS;
    assert.equal(await verifies(keys), true, "the old set answers meanwhile");
    await source.load();
    assert.equal(await verifies(rotated), true);
    assert.equal(await verifies(keys), false, "a key that was taken out is worth nothing");
    assert.equal(server.requests, 2);
  });

  test("are not used again after a long pause before they have been fetched anew", async () => {
    await source.load();
    server.answer = { status: 200, body: jwks(rotated) };
    now += JWKS_STALE_MS;
    assert.equal(await verifies(keys), false);
  });

  for (const [what, status, body] of [
    ["5xx", 503, "{}"],
    ["no key set", 200, "<html>"],
    ["an empty set", 200, '{"keys":[]}'],
    ["more bytes than are read", 200, `{"keys":[]}${" ".repeat(JWKS_BYTES)}`],
  ] as const) {
    test(`stay as they were while the server answers ${what}`, async () => {
      await source.load();
      server.answer = { status, body };
      now += JWKS_STALE_MS;
      assert.equal(await verifies(keys), true);
      assert.equal(failures.length, 1);
    });
  }

  test("stay as they were while the server is down", async () => {
    await source.load();
    await server.close();
    now += JWKS_STALE_MS;
    assert.equal(await verifies(keys), true);
    server = await jwksServer(jwks(keys));
  });

  test("do not exist while they could never be fetched, and are tried for now and then", async () => {
    server.answer = { status: 500, body: "" };
    assert.equal(await source.load(), undefined);
    assert.equal(await source.load(), undefined);
    assert.equal(server.requests, 1, "not for every request");
    server.answer = { status: 200, body: jwks(keys) };
    now += JWKS_RETRY_MS;
    assert.equal(await verifies(keys), true);
  });

  test("of a server that says nothing do not exist after the time that the rule gives", async () => {
    server.answer = "never";
    const slow = new JwksCache({ fetch: anywhere, now: () => now }).source(server.uri, 50);
    assert.equal(await slow.load(), undefined);
  });

  test("are asked for once when tokens name a key that is not among them", async () => {
    const first = await source.load();
    server.answer = { status: 200, body: jwks(keys, rotated) };
    const newer = await source.refetch();
    assert.notEqual(newer?.id, first?.id);
    assert.equal(await verifies(rotated), true);
    for (let i = 0; i < 20; i++) await source.refetch();
    assert.equal(server.requests, 2);
    now += JWKS_UNKNOWN_KEY_MS;
    await source.refetch();
    assert.equal(server.requests, 3);
  });

  test("are not looked for where a redirect leads", async () => {
    const secret = await jwksServer(jwks(rotated));
    server.answer = { status: 302, body: "", headers: { location: secret.uri } };
    assert.equal(await source.load(), undefined);
    assert.equal(secret.requests, 0);
    assert.match(failures.join(), /redirects are not followed/);
    await secret.close();
  });
});

test("addresses of this machine, of the link and of clouds' metadata are not fetched from", async (t) => {
  const local = ["127.0.0.1", "169.254.169.254", "0.0.0.0", "::1", "fe80::1", "fd00:ec2::254"];
  const disguised = ["::ffff:127.0.0.1", "::ffff:169.254.169.254", "224.0.0.1", "nonsense"];
  for (const address of [...local, ...disguised]) assert.equal(isRemote(address), false, address);
  for (const address of ["10.96.0.10", "192.168.1.1", "1.1.1.1", "fd00::1", "2001:db8::1"]) {
    assert.equal(isRemote(address), true, address);
  }
  const server = await jwksServer("{}");
  t.after(() => server.close());
  const { port } = new URL(server.uri);
  const fetch = createJwksFetch();
  for (const host of ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "2130706433"]) {
    const uri = `http://${host}:${port}/keys`;
    await assert.rejects(fetch(uri, 2_000), { code: "JWKS_FETCH_FAILED" }, host);
  }
  await assert.rejects(fetch("file:///etc/passwd", 2_000), { code: "JWKS_FETCH_FAILED" });
  assert.equal(server.requests, 0);
});
