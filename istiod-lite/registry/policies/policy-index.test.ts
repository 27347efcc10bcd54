/** Which workloads list which policies, and what a change of a policy touches. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PolicyIndex } from "./index.ts";
import { options, policy, selector } from "./policy-fixtures.ts";

test("upstream 51556: selector policies reach workloads of their namespace, root ones all workloads", () => {
  const index = new PolicyIndex(options);
  const labels = { app: "cart", tier: "db" };
  index.set(policy({ selector }, { namespace: "shop" }));
  index.set(policy({ selector }, { namespace: "other" }));
  const change = index.set(policy({ selector }, { namespace: "istio-system", name: "root" }));
  index.set(policy({}, { namespace: "shop", name: "wide" }));
  assert.equal(change.affected, "all");
  assert.deepEqual(index.selectPolicies(labels, "shop"), ["istio-system/root", "shop/p"]);
  assert.deepEqual(index.selectPolicies(labels, "third"), ["istio-system/root"]);
  assert.deepEqual(index.selectPolicies(labels, "istio-system"), ["istio-system/root"]);
  assert.deepEqual(index.selectPolicies({ app: "other" }, "shop"), []);
  const both = { matchLabels: { app: "cart", tier: "web" } };
  index.set(policy({ selector: both }, { namespace: "shop" }));
  assert.deepEqual(index.selectPolicies(labels, "shop"), ["istio-system/root"]);
  assert.deepEqual(index.selectPolicies({ ...labels, tier: "web" }, "shop"), [
    "istio-system/root",
    "shop/p",
  ]);
});

test("the index tells what changed: nothing, the policy, or also who lists it", () => {
  const index = new PolicyIndex(options);
  const first = index.set(policy({ selector, rules: [{}] }));
  assert.deepEqual(first.affected, { namespace: "shop" });
  assert.equal(first.upserted.length, 1);
  const again = index.set(policy({ selector, rules: [{}] }));
  assert.deepEqual([again.affected, again.upserted, again.removed], ["none", [], []]);
  const edited = index.set(policy({ selector, rules: [] }));
  assert.deepEqual([edited.affected, edited.upserted.length], ["none", 1]);
  const widened = index.set(policy({ rules: [] }));
  assert.deepEqual(widened.affected, { namespace: "shop" });
  const gone = index.set(policy({ action: "CUSTOM" }));
  assert.deepEqual(gone.removed, ["shop/p"]);
  assert.equal(index.authorizations().size, 0);
  const name = { namespace: "shop", name: "p" };
  assert.deepEqual(index.remove("AuthorizationPolicy", name).removed, []);
});
