/** Kinds that need a definition: which may come, go, or serve nothing that is known. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { policy } from "#istiod-lite/config/source-fixture.ts";
import { ApiServerFixture } from "./api-server-fixture.ts";
import { startAll, watchSource } from "./kubernetes-source-fixture.ts";

describe("definitions of kinds", () => {
  test("that are not installed make no errors", async (t) => {
    const server = await ApiServerFixture.start(t);
    const { started, lines, state } = watchSource(t, server);
    await started;
    assert.deepEqual([...state.keys()], ["Namespace//default"]);
    assert.deepEqual(lines, []);
    assert.ok(!server.requests.some(({ path }) => path.includes("istio.io")));
  });

  test("that may hide policies are waited for; those of others leave it unwhole", async (t) => {
    const server = await ApiServerFixture.start(t);
    server.defineAll();
    server.define("AuthorizationPolicy", ["v9"]);
    server.define("PeerAuthentication", undefined, false);
    server.define("Gateway", ["v9"]);
    const { batches, until, said, source } = watchSource(t, server);
    await until(() => said(/no version of them is served/) === 2 && said(/not established/) === 1);
    await until(() => server.watching("telemetries") + server.watching("gatewayclasses") === 2);
    server.define("PeerAuthentication");
    await until(() => server.watching("peerauthentications") === 1);
    assert.equal(batches.length, 0);
    server.define("AuthorizationPolicy");
    await until(() => batches.length === 1);
    assert.equal(source.isWhole, false);
    server.define("Gateway");
    await until(() => source.isWhole);
  });

  test("take the objects of their kind along, and bring them back", async (t) => {
    const { server, until, state, lines } = await startAll(t, [policy("p")]);
    server.undefine("AuthorizationPolicy");
    await until(() => !state.has("AuthorizationPolicy/shop/p"));
    await until(() => server.watching("authorizationpolicies") === 0);
    server.define("AuthorizationPolicy", ["v1beta1"]);
    server.put(policy("q"));
    await until(() => state.has("AuthorizationPolicy/shop/q"));
    assert.equal(state.get("AuthorizationPolicy/shop/q")?.apiVersion, "security.istio.io/v1beta1");
    assert.deepEqual(
      lines.filter((line) => /\b(error|warn)\b/.test(line)),
      [],
    );
  });

  test("that serve no version that is known leave in force what is", async (t) => {
    const { server, until, state, source } = await startAll(t, [policy("p")]);
    server.define("AuthorizationPolicy", ["v9"]);
    await until(() => source.loss !== undefined);
    assert.match(source.loss?.reason ?? "", /AuthorizationPolicy is not served/);
    assert.ok(state.has("AuthorizationPolicy/shop/p"));
    server.define("AuthorizationPolicy");
    await until(() => source.loss === undefined);
  });
});
