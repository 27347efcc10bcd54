/** The evaluator against a naive oracle on random policies, and its cost on very many policies. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Authorization, EMPTY_MATCH, policyKey } from "#common/model/authorization.ts";
import type { Connection } from "#common/model/connection.ts";
import { makeIdentity } from "#common/model/identity.ts";
import { parseIp } from "#common/model/ip.ts";
import { anyConnection, anyPolicies } from "./arbitraries.ts";
import { compilePolicies, evaluate, explain } from "./evaluate.ts";
import { naiveAllowed, naiveMatches } from "./oracle.ts";

test("evaluate decides as the naive oracle does, and names the first policy that decided", () => {
  fc.assert(
    fc.property(anyConnection, anyPolicies, (connection, policies) => {
      const verdict = evaluate(connection, compilePolicies(policies));
      assert.equal(verdict.allowed, naiveAllowed(connection, policies));
      const decisive = policies
        .filter((p) => !p.dryRun && (p.action === "deny") === !verdict.allowed)
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

test("dry-run policies are reported exactly when the oracle says they match", () => {
  fc.assert(
    fc.property(anyConnection, anyPolicies, (connection, policies) => {
      const expected = policies.filter((p) => p.dryRun && naiveMatches(connection, p));
      const { dryRunHits } = evaluate(connection, compilePolicies(policies));
      assert.deepEqual(dryRunHits.map((hit) => hit.policy).sort(), expected.map(policyKey).sort());
    }),
    { numRuns: 1000 },
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

const POLICIES = 10_000;
const RULES = 10;

function manyPolicies(match: (n: number) => Partial<typeof EMPTY_MATCH>): Authorization[] {
  return Array.from({ length: POLICIES }, (_, i) => ({
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

function p99Ms(connection: Connection, policies: readonly Authorization[]): number {
  const compiled = compilePolicies(policies);
  const times: number[] = [];
  for (let i = 0; i < 500; i++) {
    const start = performance.now();
    assert.equal(evaluate(connection, compiled).allowed, false);
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.99)] ?? Number.POSITIVE_INFINITY;
}

const shapes: [string, (n: number) => Partial<typeof EMPTY_MATCH>][] = [
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
  ],
];

for (const [name, match] of shapes) {
  test(`D4 65: 10,000 policies of 10 rules on ${name} are checked in under 1 ms at p99`, (t) => {
    const ip = parseIp("10.0.0.1");
    assert.ok(ip !== undefined);
    const connection: Connection = {
      sourceIp: ip,
      sourceIdentity: makeIdentity("cluster.local", "web", "frontend"),
      destinationIp: ip,
      destinationPort: 8080,
      destinationNetwork: "",
    };
    const policies = manyPolicies(match);
    const start = performance.now();
    compilePolicies(policies);
    const compileMs = performance.now() - start;
    const again = performance.now();
    compilePolicies([...policies]);
    const recompileMs = performance.now() - again;
    // The best of three: the machine may be busy with something else.
    const p99 = Math.min(...[1, 2, 3].map(() => p99Ms(connection, policies)));
    t.diagnostic(
      `compiled in ${compileMs.toFixed(0)} ms, again in ${recompileMs.toFixed(0)} ms, p99 ${(p99 * 1000).toFixed(0)} us`,
    );
    assert.ok(p99 < 1, `p99 was ${p99} ms`);
  });
}
