/** The evaluator against a naive oracle on random policies, and its cost on very many policies. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Authorization, EMPTY_MATCH, policyKey } from "#common/model/authorization.ts";
import type { Connection } from "#common/model/connection.ts";
import { makeIdentity } from "#common/model/identity.ts";
import { parseIp } from "#common/model/ip.ts";
import { anyConnection, anyPolicies } from "./arbitraries.ts";
import { CompiledPolicies, compilePolicies, evaluate, explain, PolicySet } from "./evaluate.ts";
import { LINEAR_RULES, NEAREST_MISS_RULES } from "./limits.ts";
import { naiveAllowed, naiveMatches } from "./oracle.ts";

test("evaluate decides as the naive oracle does, and names the first policy that decided", () => {
  fc.assert(
    fc.property(anyConnection, anyPolicies, (connection, policies) => {
      const verdict = evaluate(connection, compilePolicies(policies));
      assert.equal(verdict.allowed, naiveAllowed(connection, policies));
      const decisive = policies
        .filter((p) => !p.dryRun && p.action === (verdict.allowed ? "allow" : "deny"))
        .filter((p) => naiveMatches(connection, p))
        .map(policyKey)
        .sort();
      if (verdict.allowed || verdict.reason === "explicit-deny") {
        assert.equal(verdict.by?.policy, decisive[0]);
      }
    }),
    { numRuns: 3000 },
  );
});

test("dry-run and AUDIT policies are reported exactly when the oracle says they match", () => {
  fc.assert(
    fc.property(anyConnection, anyPolicies, (connection, policies) => {
      const matching = policies.filter((p) => naiveMatches(connection, p));
      const { dryRunHits, auditHits } = evaluate(connection, compilePolicies(policies));
      const keys = (list: readonly Authorization[]) => list.map(policyKey).sort();
      const dryRun = matching.filter((p) => p.dryRun && p.action !== "audit");
      assert.deepEqual(dryRunHits.map((hit) => hit.policy).sort(), keys(dryRun));
      const audit = matching.filter((p) => p.action === "audit");
      assert.deepEqual(auditHits.map((hit) => hit.policy).sort(), keys(audit));
    }),
    { numRuns: 1000 },
  );
});

test("what a dry run would do is what the oracle does with those policies enforced", () => {
  fc.assert(
    fc.property(anyConnection, anyPolicies, (connection, policies) => {
      const { dryRunAllowed } = evaluate(connection, compilePolicies(policies));
      const enforced = policies.map((policy) => ({ ...policy, dryRun: false }));
      const applies = policies.some((p) => p.dryRun && p.action !== "audit");
      assert.equal(dryRunAllowed, applies ? naiveAllowed(connection, enforced) : undefined);
    }),
    { numRuns: 2000 },
  );
});

test("policies that come, change and go leave what a fresh start would have", () => {
  const steps = fc.array(fc.tuple(anyPolicies, fc.nat(), anyConnection), {
    minLength: 1,
    maxLength: 5,
  });
  fc.assert(
    fc.property(steps, (sequence) => {
      const sets = [new PolicySet(), new PolicySet()] as const;
      const model = new Map<string, Authorization>();
      for (const [policies, gone, connection] of sequence) {
        for (const policy of policies) {
          model.set(policyKey(policy), policy);
          // Which of the sets a policy is in must not matter; it is in one of them.
          const scoped = policy.scope === "namespace" ? 0 : 1;
          sets[1 - scoped]?.delete(policyKey(policy));
          sets[scoped]?.put(policy);
        }
        for (const key of [...model.keys()].filter((_, i) => (i + gone) % 3 === 0)) {
          model.delete(key);
          for (const set of sets) set.delete(key);
        }
        const left = [...model.values()];
        const verdict = evaluate(connection, new CompiledPolicies(sets));
        const fresh = evaluate(connection, compilePolicies(left));
        assert.equal(verdict.allowed, naiveAllowed(connection, left));
        assert.equal(verdict.dryRunAllowed, fresh.dryRunAllowed);
        if (verdict.allowed || verdict.reason === "explicit-deny") assert.deepEqual(verdict, fresh);
      }
    }),
    { numRuns: 500 },
  );
});

test("explain tells the truth about every policy and agrees with evaluate", () => {
  fc.assert(
    fc.property(anyConnection, anyPolicies, (connection, policies) => {
      const compiled = compilePolicies(policies);
      const explanation = explain(connection, compiled);
      assert.deepEqual(explanation.verdict, evaluate(connection, compiled));
      for (const trace of explanation.policies) {
        const policy = policies.find((p) => policyKey(p) === trace.policy);
        assert.equal(trace.matched, policy !== undefined && naiveMatches(connection, policy));
      }
    }),
    { numRuns: 1000 },
  );
});

const POLICIES = 1_000;
const RULES = 10;

function manyPolicies(
  match: (n: number) => Partial<typeof EMPTY_MATCH>,
  count: number = POLICIES,
): Authorization[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `p${i}`,
    namespace: "shop",
    scope: "namespace",
    action: i % 2 === 0 ? "allow" : "deny",
    dryRun: false,
    rules: Array.from({ length: RULES }, (_, j) => ({
      clauses: [
        { matches: [{ ...EMPTY_MATCH, ...match(i * RULES + j) }] },
        { matches: [{ ...EMPTY_MATCH, namespaces: [{ kind: "exact", value: "web" }] }] },
      ],
    })),
  }));
}

/** Counts, from now on, the rules that matching looks into for the first time. */
function countTouched(policies: readonly Authorization[]): () => number {
  let touched = 0;
  for (const rule of policies.flatMap(({ rules }) => rules)) {
    const { clauses } = rule;
    Object.defineProperty(rule, "clauses", {
      get: () => {
        touched++;
        return clauses;
      },
    });
  }
  return () => touched;
}

/** Ways to cut a value that the shapes below file rules by, with room. */
const SPACES = 16;

/** What the rules ask for, and how many of them only matching can tell apart. */
type Shape = readonly [string, (n: number) => Partial<typeof EMPTY_MATCH>, number?];
const shapes: readonly [Shape, ...Shape[]] = [
  ["exact principals", (n) => ({ principals: [{ kind: "exact", value: `td/ns/n/sa/s${n}` }] })],
  ["principal prefixes", (n) => ({ principals: [{ kind: "prefix", value: `td/ns/n${n}/` }] })],
  ["principal suffixes", (n) => ({ principals: [{ kind: "suffix", value: `/sa/s${n}` }] })],
  ["service accounts", (n) => ({ serviceAccounts: [{ namespace: "n", serviceAccount: `s${n}` }] })],
  [
    "source blocks",
    (n) => ({
      sourceIps: [{ bytes: Uint8Array.of(11, n >> 16, (n >> 8) & 255, n & 255), length: 32 }],
    }),
  ],
  ["one unmatched port", (_) => ({ destinationPorts: [9999] })],
  [
    "ports, one in a hundred only excluding",
    (n) =>
      n % 100 === 0
        ? { notNamespaces: [{ kind: "exact", value: "web" }] }
        : { destinationPorts: [9000 + (n % 100)] },
    (POLICIES * RULES) / 100,
  ],
];

const [[, onPrincipals]] = shapes;

for (const [name, match, expected = 0] of shapes) {
  test(`of 1,000 policies of 10 rules on ${name} a check looks only into those it must`, () => {
    checkTouched(manyPolicies(match), expected);
  });
}

test("D4 65: of 10,000 policies of 10 rules a check looks only into those it must", () => {
  checkTouched(manyPolicies(onPrincipals, 10 * POLICIES), 0);
});

/** Checks one connection, of which `expected` rules can only be told to refuse it by matching. */
function checkTouched(policies: readonly Authorization[], expected: number): void {
  const ip = parseIp("10.0.0.1");
  assert.ok(ip !== undefined);
  const connection: Connection = {
    sourceIp: ip,
    sourceIdentity: makeIdentity("cluster.local", "web", "frontend"),
    destinationIp: ip,
    destinationPort: 8080,
    destinationNetwork: "",
  };
  const compiled = compilePolicies(policies);
  const touched = countTouched(policies);
  assert.equal(evaluate(connection, compiled).allowed, false);
  // Beside the rules that the connection has every value for: those that explain the refusal.
  const bound = expected + NEAREST_MISS_RULES + LINEAR_RULES * SPACES;
  assert.ok(touched() <= bound, `${touched()} rules were looked into, not ${bound}`);
}
