import assert from "node:assert/strict";
import { test } from "node:test";
import type { AuthorizationPolicy } from "#common/kubernetes/objects.ts";
import { l7Authorization } from "./l7-authorization.ts";

const DOMAINS = { trustDomain: "new.example", trustDomainAliases: ["old.example"] };
const BOTH = ["new.example/ns/shop/sa/web", "old.example/ns/shop/sa/web"];

function rule(given: object) {
  const policy = {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "p", namespace: "shop" },
    spec: { action: "DENY", rules: [given] },
  } as AuthorizationPolicy;
  return l7Authorization(policy, DOMAINS, () => undefined).rules[0];
}

for (const written of ["old.example", "new.example", "cluster.local"]) {
  const principal = `${written}/ns/shop/sa/web`;

  test(`a caller named under ${written} is meant under every alias, wherever the policy names it`, () => {
    const { from, when } = rule({
      from: [{ source: { principals: [principal], notPrincipals: [principal] } }],
      when: [{ key: "source.principal", values: [principal], notValues: [principal] }],
    }) as NonNullable<ReturnType<typeof rule>>;
    assert.deepEqual(from, [{ principals: BOTH, notPrincipals: BOTH }]);
    assert.deepEqual(when, [{ key: "source.principal", values: BOTH, notValues: BOTH }]);
  });
}

test("other conditions are as they are written", () => {
  const other = { key: "request.headers[x-from]", values: ["old.example/ns/shop/sa/web"] };
  assert.deepEqual(rule({ when: [other] })?.when, [other]);
});

test("a service account without a namespace is one of the policy's, also in a condition", () => {
  const key = "source.serviceAccount";
  const { from, when } = rule({
    from: [{ source: { serviceAccounts: ["web"], notServiceAccounts: ["blog/web"] } }],
    when: [{ key, values: ["web", "blog/web"], notValues: ["admin"] }],
  }) as NonNullable<ReturnType<typeof rule>>;
  assert.deepEqual(from, [{ serviceAccounts: ["shop/web"], notServiceAccounts: ["blog/web"] }]);
  assert.deepEqual(when, [{ key, values: ["shop/web", "blog/web"], notValues: ["shop/admin"] }]);
});
