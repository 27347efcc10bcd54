/** Upstream 58511, 58427 and ztunnel 1260: a mesh whose trust domain has other names. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { makeIdentity, type TrustDomains } from "#common/model/identity.ts";
import { TEST_IDENTITY } from "./authority-fixture.ts";
import { ca, connect, good, refused, TD } from "./handshake-fixture.ts";

const ALIASED: TrustDomains = [TD, "old-td", "td3"];
const inDomain = (domain: string, account = "test") => {
  const { uri: value } = makeIdentity(domain, "default", account);
  return { value, certificate: ca.workload({ subjectAltNames: [{ type: "uri", value }] }) };
};

test("upstream 58511: a peer of an alias of the trust domain is one of the mesh", async () => {
  const { value, certificate } = inDomain("old-td");
  const asClient = await connect({ client: certificate, trustDomains: ALIASED });
  assert.ok(asClient.server.ok);
  assert.equal(asClient.server.identity.uri, value, "policies and logs see its own name");
  assert.equal(asClient.received, "hello");
  const asServer = await connect({ server: certificate, trustDomains: ALIASED });
  assert.ok(asServer.client.ok, "expected by the mesh's own name, it answers by the alias");
  assert.equal(asServer.received, "hello");
});

test("upstream 58427: a server expected by an alias may answer by any of the mesh's names", async () => {
  const expected = new Set([inDomain("td3").value]);
  for (const server of [good, inDomain("td3").certificate, inDomain("old-td").certificate]) {
    const { client, received } = await connect({ server, expected, trustDomains: ALIASED });
    assert.ok(client.ok);
    assert.equal(received, "hello");
  }
});

test("an alias excuses the trust domain and nothing else", async () => {
  const { certificate } = inDomain("old-td", "other");
  const { client, received } = await connect({ server: certificate, trustDomains: ALIASED });
  refused(client, "identity-mismatch", /old-td.*sa\/other, expected .*sa\/test/);
  assert.equal(received, "");
});

test("D4.23 a trust domain that is no alias is refused on either side, alone or expected", async () => {
  const { value, certificate } = inDomain("other.example");
  const expected = new Set([value, TEST_IDENTITY.uri]);
  const asClient = await connect({ client: certificate, trustDomains: ALIASED });
  refused(asClient.server, "identity-mismatch", /other\.example is not cluster\.local or old-td/);
  assert.equal(asClient.received, "");
  const asServer = await connect({ server: certificate, expected, trustDomains: ALIASED });
  refused(asServer.client, "identity-mismatch", /other\.example is not/);
  assert.equal(asServer.received, "");
  const twin = await connect({
    client: inDomain("old-td.evil").certificate,
    trustDomains: ALIASED,
  });
  assert.ok(!twin.server.ok, "a name that begins with an alias is none");
});
