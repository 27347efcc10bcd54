/** Key sets over https: from the server that was named and is vouched for, and from no other. */
import assert from "node:assert/strict";
import { once } from "node:events";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import tls from "node:tls";
import { TestAuthority } from "#common/tls/authority-fixture.ts";
import { createJwksFetch } from "./jwks-fetch.ts";

const KEYS = '{"keys":[]}';
const DAY_MS = 86_400_000;
const TIMEOUT_MS = 5_000;
/** What `NODE_EXTRA_CA_CERTS` does to a process at its start. */
const vouched = TestAuthority.root();
const unknown = TestAuthority.root();
const roots = tls.getCACertificates("default");
const fetch = createJwksFetch({ mayConnect: () => true });

interface Server {
  /** By the name `localhost`. */
  readonly uri: string;
  readonly asked: string[];
}

const servers: https.Server[] = [];

async function serve(
  authority: TestAuthority,
  names: readonly string[],
  more: { readonly notBefore?: Date; readonly notAfter?: Date } = {},
): Promise<Server> {
  const subjectAltNames = names.map((value) => ({ type: "dns" as const, value }));
  const { certChainPem: cert, privateKeyPem: key } = authority.workload({
    subjectAltNames,
    ...more,
  });
  const asked: string[] = [];
  const server = https.createServer({ cert, key }, ({ url = "" }, response) => {
    asked.push(url);
    const location = `https://localhost:${port}/keys`;
    response.writeHead(url === "/moved" ? 302 : 200, { location }).end(KEYS);
  });
  servers.push(server.listen(0, "localhost"));
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { uri: `https://localhost:${port}/keys`, asked };
}

async function refused(uri: string, why: RegExp): Promise<void> {
  await assert.rejects(fetch(uri, TIMEOUT_MS), (error: Error) => {
    assert.match(String(error.cause), why);
    return true;
  });
}

describe("a key set over https", () => {
  before(() => tls.setDefaultCACertificates([...roots, vouched.rootsPem]));
  after(() => {
    tls.setDefaultCACertificates(roots);
    for (const server of servers) server.close();
  });

  test("is taken from the server of that name", async () => {
    const { uri } = await serve(vouched, ["localhost"]);
    assert.equal(await fetch(uri, TIMEOUT_MS), KEYS);
  });

  const impostors: readonly [string, Parameters<typeof serve>, RegExp][] = [
    ["that nobody vouches for", [unknown, ["localhost"]], /unable to verify|self-signed/],
    ["of another name", [vouched, ["keys.example.com"]], /does not match certificate's altnames/],
    [
      "whose certificate has expired",
      [
        vouched,
        ["localhost"],
        { notBefore: new Date(Date.now() - 2 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) },
      ],
      /expired/,
    ],
  ];
  for (const [what, server, why] of impostors) {
    test(`is not asked for of a server ${what}`, async () => {
      const { uri, asked } = await serve(...server);
      await refused(uri, why);
      assert.deepEqual(asked, []);
    });
  }

  test("is not looked for where a redirect leads, nor on this machine", async () => {
    const { uri, asked } = await serve(vouched, ["localhost"]);
    await refused(uri.replace("/keys", "/moved"), /redirects are not followed/);
    await assert.rejects(createJwksFetch()(uri, TIMEOUT_MS), /cannot fetch the key set/);
    assert.deepEqual(asked, ["/moved"]);
  });
});
