/** Which NetworkPolicies keep HBONE from pods. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "#common/kubernetes/objects.ts";
import { blockedPods, type NetworkPolicy } from "./network-policies.ts";

const pod = {
  metadata: { name: "web", namespace: "shop", labels: { app: "web" } },
} as unknown as Pod;

function policy(spec: NetworkPolicy["spec"], name = "np", namespace = "shop"): NetworkPolicy {
  return { metadata: { name, namespace }, spec };
}

const into = "no TCP 15008 into shop/web: NetworkPolicy np";
const outOf = "no TCP 15008 out of shop/web: NetworkPolicy np";
const cases: [string, NetworkPolicy["spec"], readonly string[]][] = [
  ["denies all", { podSelector: {} }, [into]],
  ["denies all both ways", { policyTypes: ["Ingress", "Egress"] }, [into, outOf]],
  ["admits the application's port only", { ingress: [{ ports: [{ port: 8080 }] }] }, [into]],
  ["admits everything from somebody", { ingress: [{}] }, []],
  ["admits the port", { ingress: [{ ports: [{ port: 8080 }, { port: 15008 }] }] }, []],
  ["admits a range with it", { ingress: [{ ports: [{ port: 15000, endPort: 15100 }] }] }, []],
  ["admits a range before it", { ingress: [{ ports: [{ port: 1, endPort: 15007 }] }] }, [into]],
  ["admits it for UDP", { ingress: [{ ports: [{ protocol: "UDP", port: 15008 }] }] }, [into]],
  ["admits a named port", { ingress: [{ ports: [{ port: "http" }] }] }, [into]],
  ["is for others", { podSelector: { matchLabels: { app: "api" } } }, []],
  [
    "lets DNS out only",
    { egress: [{ ports: [{ protocol: "UDP", port: 53 }] }], ingress: [{}] },
    [outOf],
  ],
];
for (const [what, spec, expected] of cases) {
  test(`a policy that ${what}`, () => {
    assert.deepEqual(blockedPods([pod], [policy(spec)]), expected);
  });
}

test("one policy that admits is enough, and another namespace's are no matter", () => {
  const deny = policy({ podSelector: {} }, "deny");
  const admit = policy({ ingress: [{ ports: [{ port: 15008 }] }] }, "admit");
  assert.deepEqual(blockedPods([pod], [deny, admit]), []);
  assert.deepEqual(blockedPods([pod], [policy({}, "np", "other")]), []);
});

test("expressions select as labels do", () => {
  const selecting = (operator: string, values?: string[]) =>
    policy({
      podSelector: { matchExpressions: [{ key: "app", operator, ...(values && { values }) }] },
    });
  const blocks = (one: NetworkPolicy) => blockedPods([pod], [one]).length === 1;
  assert.ok(blocks(selecting("In", ["web", "api"])));
  assert.ok(!blocks(selecting("In", ["api"])));
  assert.ok(blocks(selecting("NotIn", ["api"])));
  assert.ok(blocks(selecting("Exists")));
  assert.ok(!blocks(selecting("DoesNotExist")));
});
