/** Upstream 58511, ztunnel 1260: peers of an alias of the trust domain, and of another one. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { makeIdentity } from "#common/model/identity.ts";
import { waitForRecord } from "#test/support/access-log.ts";
import { connectTo } from "#test/support/hbone-peer.ts";
import { CLIENT, RawHboneMesh } from "#test/support/raw-hbone-mesh.ts";

const ALIAS = "old-td";
let mesh: RawHboneMesh;

before(async () => {
  const env = { TRUST_DOMAIN_ALIASES: ALIAS };
  mesh = await RawHboneMesh.start({ env }, { args: ["--trust-domain-aliases", ALIAS] });
});

after(() => mesh?.[Symbol.asyncDispose]());

/** The status of a CONNECT to the pod that policy keeps for shop/friend. */
async function statusFor(domain: string, account: string): Promise<number> {
  const { uri } = makeIdentity(domain, "shop", account);
  const session = await mesh.open("guarded", { certificate: mesh.leaf(account, { uris: [uri] }) });
  const { status, stream } = await connectTo(session, await mesh.authorityOf("guarded"));
  stream.destroy();
  session.destroy();
  return status;
}

describe("a client whose certificate is of an alias of the trust domain", () => {
  test("upstream 58511: is let in where policy names it by the mesh's own, by its own name", async () => {
    assert.equal(await statusFor(ALIAS, "friend"), 200);
    await waitForRecord(mesh.cluster, "node2", {
      "src.addr": new RegExp(`^${await mesh.cluster.podIp(CLIENT)}:`),
      "src.identity": makeIdentity(ALIAS, "shop", "friend").uri,
    });
  });

  test("is kept out where policy does not name it", async () => {
    assert.equal(await statusFor(ALIAS, "client"), 401);
  });

  test("D4.23 is told apart from one of a trust domain that is none", async () => {
    await assert.rejects(statusFor("other.example", "friend"));
    const { error } = await mesh.refusal("identity-mismatch");
    assert.match(String(error), /trust domain other\.example is not cluster\.local or old-td/);
  });
});
