/** Objects that the API server let through and that are refused here. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import { failClosed } from "#istiod-lite/config/kubernetes/watch/fail-closed.ts";
import { startAll } from "#istiod-lite/config/kubernetes/watch/kubernetes-source-fixture.ts";
import { policy } from "#istiod-lite/config/source-fixture.ts";

describe("an object that is refused", () => {
  const wrong = { ...policy("p"), spec: { ruels: [] } } as unknown as KubernetesObject;

  test("keeps its last good state in force, and is told of once", async (t) => {
    const { server, until, state, source, refused, said } = await startAll(t, [policy("p")]);
    server.put(wrong);
    server.put(wrong);
    server.put(policy("q"));
    await until(() => state.has("AuthorizationPolicy/shop/q"));
    assert.deepEqual(state.get("AuthorizationPolicy/shop/p"), policy("p"));
    assert.equal(source.refusedCount, 1);
    assert.equal(said(/object refused\s.*spec\.ruels: is an unknown field/), 1);
    assert.deepEqual(
      refused.map(({ inForce }) => inForce),
      ["its last good state"],
    );
    server.put({ ...policy("p"), spec: { action: "ALLOW" } } as KubernetesObject);
    await until(() => source.refusedCount === 0);
    server.put(wrong);
    server.remove("AuthorizationPolicy", "shop", "p");
    await until(() => !state.has("AuthorizationPolicy/shop/p"));
    assert.equal(source.refusedCount, 0);
  });

  test("from the beginning is stood in for by what lets nothing through", async (t) => {
    const { state, refused } = await startAll(t, [wrong]);
    const { spec } = state.get("AuthorizationPolicy/shop/p") as { spec?: unknown };
    assert.deepEqual(spec, { action: "ALLOW" });
    assert.deepEqual(
      refused.map(({ inForce }) => inForce),
      ["something stricter"],
    );
  });
});

describe("what stands in for a policy that nobody understands", () => {
  const selector = { matchLabels: { app: "web" } };
  const standIn = (kind: string, spec: unknown): unknown =>
    (failClosed({ ...policy("p"), kind, spec }) as { spec?: unknown } | undefined)?.spec;
  const denyAll = { action: "DENY", rules: [{}] };

  test("forbids what it selects, and no more", () => {
    const rules = [{ form: [] }];
    const given = (action: string) => ({ selector, action, rules });
    assert.deepEqual(standIn("AuthorizationPolicy", given("ALLOW")), { selector, action: "ALLOW" });
    for (const action of ["DENY", "CUSTOM", "deny"]) {
      const expected = { selector, ...denyAll };
      assert.deepEqual(standIn("AuthorizationPolicy", given(action)), expected, action);
    }
    const strict = { mtls: { mode: "STRICT" } };
    const peers = standIn("PeerAuthentication", { selector, mtls: { mode: "strict" } });
    assert.deepEqual(peers, { selector, ...strict });
  });

  test("forbids everything in its namespace where nobody knows what it selects", () => {
    const broken = { selector: { matchLables: {} }, action: "DENY", rules: [{}] };
    assert.deepEqual(standIn("AuthorizationPolicy", broken), denyAll);
    assert.deepEqual(standIn("AuthorizationPolicy", "nonsense"), { action: "ALLOW" });
    assert.deepEqual(standIn("PeerAuthentication", broken), { mtls: { mode: "STRICT" } });
  });

  test("is nothing for what forbids nothing", () => {
    assert.equal(standIn("AuthorizationPolicy", { action: "DENY", rules: [] }), undefined);
    assert.equal(standIn("AuthorizationPolicy", { action: "AUDIT", rules: [1] }), undefined);
    assert.equal(standIn("HTTPRoute", {}), undefined);
  });
});
