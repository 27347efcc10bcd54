/** What a verdict and an explanation tell about the policies that decided, or did not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { compilePolicies, evaluate, explain } from "./evaluate.ts";
import {
  cidr,
  clause,
  connection,
  decide,
  everything,
  exact,
  nothing,
  policy,
  prefix,
} from "./policy-fixtures.ts";

test("dry-run policies never decide and are reported with their first matching rule", () => {
  const denied = policy({ name: "d", action: "deny", dryRun: true, rules: everything });
  const allowed = policy({ name: "a", dryRun: true, rules: [...nothing, ...everything] });
  const silent = policy({ name: "s", dryRun: true, rules: nothing });
  const verdict = decide([denied, allowed, silent]);
  assert.equal(verdict.allowed, true);
  assert.deepEqual(
    verdict.dryRunHits.map((hit) => [hit.policy, hit.action, hit.rule]),
    [
      ["shop/a", "allow", 1],
      ["shop/d", "deny", 0],
    ],
  );
});

test("a refusal by DENY names policy, rule and every field with the value seen", () => {
  const deny = policy({
    name: "no-debug",
    action: "deny",
    rules: [
      ...nothing,
      { clauses: [clause({ destinationPorts: [1, 8080] }), clause({ namespaces: [prefix("w")] })] },
    ],
  });
  const verdict = decide([deny]);
  assert.deepEqual(verdict.by, {
    policy: "shop/no-debug",
    action: "deny",
    dryRun: false,
    rule: 1,
    observed: [
      { clause: 0, match: 0, field: "destinationPorts", value: "8080", wanted: "1, 8080" },
      { clause: 1, match: 0, field: "namespaces", value: "web", wanted: "w*" },
    ],
  });
});

test("a refusal by missing ALLOW tells the rule that came nearest and what failed", () => {
  const allow = policy({
    rules: [
      ...nothing,
      {
        clauses: [
          clause({ destinationPorts: [8080] }),
          clause({ principals: [exact("a")] }, { sourceIps: [cidr("10.9.0.0/16")] }),
        ],
      },
    ],
  });
  const { by } = decide([allow]);
  assert.ok(by !== undefined);
  assert.equal(by.rule, 1);
  assert.deepEqual(
    by.observed.map(({ field, wanted, value }) => [field, wanted, value]),
    [
      ["principals", "a", "cluster.local/ns/web/sa/frontend"],
      ["sourceIps", "10.9.0.0/16", "10.0.0.1"],
    ],
  );
});

test("explain traces every policy and rule with the first failing clause, and the same verdict", () => {
  const allow = policy({ name: "a", rules: [...nothing, ...everything] });
  const other = policy({ name: "b", action: "deny", rules: nothing });
  const compiled = compilePolicies([other, allow]);
  const explanation = explain(connection(), compiled);
  assert.deepEqual(explanation.verdict, evaluate(connection(), compiled));
  assert.deepEqual(
    explanation.policies.map((p) => [p.policy, p.matched, p.rules.map((r) => r.matched)]),
    [
      ["shop/a", true, [false, true]],
      ["shop/b", false, [false]],
    ],
  );
  assert.deepEqual(explanation.policies[1]?.rules[0]?.observed, [
    { clause: 0, match: 0, field: "destinationPorts", value: "8080", wanted: "1" },
  ]);
});
