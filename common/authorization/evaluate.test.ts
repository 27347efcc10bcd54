/** The corners of L4 authorization: ambient.md 2.4 and the L4 cases of security.md D4. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Authorization, Clause, Match, StringMatch } from "#common/model/authorization.ts";
import { makeIdentity } from "#common/model/identity.ts";
import { compilePolicies } from "./evaluate.ts";
import {
  cidr,
  clause,
  connection,
  decide,
  everything,
  exact,
  holds,
  ip,
  nothing,
  plaintext,
  policy,
  prefix,
  presence,
  suffix,
} from "./policy-fixtures.ts";
import { describeVerdict } from "./verdict.ts";

test("without any policy a connection is allowed, and by no policy", () => {
  assert.deepEqual(decide([]), { allowed: true, dryRunHits: [], auditHits: [] });
});

test("the order of decision is DENY, then no ALLOW at all, then any ALLOW, then refusal", () => {
  const deny = policy({ name: "d", action: "deny", rules: everything });
  const allow = policy({ name: "a", rules: everything });
  const miss = policy({ name: "m", rules: nothing });
  const denyMiss = policy({ name: "n", action: "deny", rules: nothing });
  const reasons: [Authorization[], string][] = [
    [[allow, deny], "explicitly denied by: shop/d"],
    [[deny], "explicitly denied by: shop/d"],
    [[denyMiss], "no allow policies apply"],
    [[miss, allow], "allowed by: shop/a"],
    [[miss, denyMiss], "allow policies exist, but none allowed"],
  ];
  for (const [policies, expected] of reasons) {
    assert.equal(describeVerdict(decide(policies)), expected);
    assert.equal(describeVerdict(decide([...policies].reverse())), expected);
  }
});

test("D4 61: an empty rule list never matches, so an ALLOW without rules refuses everything", () => {
  assert.equal(decide([policy({ rules: [] })]).allowed, false);
  assert.equal(decide([policy({ rules: [], action: "deny" })]).allowed, true);
});

test("a rule without clauses matches everything, also plaintext", () => {
  assert.equal(decide([policy({ rules: everything })], plaintext).allowed, true);
  const denied = decide([policy({ rules: everything, action: "deny" })], plaintext);
  assert.equal(denied.allowed, false);
  assert.deepEqual(denied.by?.observed, []);
});

test("a clause without matches holds; the other clauses of its rule still count", () => {
  const hit = policy({ rules: [{ clauses: [clause(), clause({ destinationPorts: [8080] })] }] });
  const miss = policy({ rules: [{ clauses: [clause(), clause({ destinationPorts: [1] })] }] });
  assert.equal(decide([hit]).allowed, true);
  assert.equal(decide([miss]).allowed, false);
  assert.equal(decide([hit]).by?.observed[0]?.clause, 1);
});

test("a match without any field is skipped: it never makes its clause hold", () => {
  assert.equal(decide([policy({ rules: [{ clauses: [clause({})] }] })]).allowed, false);
  const beside = policy({ rules: [{ clauses: [clause({}, { destinationPorts: [8080] })] }] });
  assert.equal(decide([beside]).allowed, true);
  assert.equal(decide([beside]).by?.observed[0]?.match, 1);
  const deny = policy({ action: "deny", rules: [{ clauses: [clause({})] }] });
  assert.equal(decide([deny]).allowed, true);
});

test("rules are OR'd, clauses AND'd, matches OR'd, fields AND'd, values OR'd", () => {
  const here = { destinationPorts: [8080] };
  const gone = { destinationPorts: [9] };
  const one = (...clauses: Clause[]) => decide([policy({ rules: [{ clauses }] })]).allowed;
  assert.equal(
    decide([policy({ rules: [...nothing, { clauses: [clause(here)] }] })]).allowed,
    true,
  );
  assert.equal(one(clause(here), clause(gone)), false);
  assert.equal(one(clause(gone, here)), true);
  assert.equal(one(clause({ ...here, namespaces: [exact("web")] })), true);
  assert.equal(one(clause({ ...here, namespaces: [exact("other")] })), false);
  assert.equal(one(clause({ destinationPorts: [9, 8080] })), true);
});

test("a negative value that is hit fails the match whatever the positives say", () => {
  assert.equal(holds({ destinationPorts: [8080], notDestinationPorts: [8080] }), false);
  assert.equal(holds({ namespaces: [presence], notNamespaces: [exact("web")] }), false);
  assert.equal(holds({ notNamespaces: [exact("a"), exact("web")] }), false);
  assert.equal(holds({ notNamespaces: [exact("a"), exact("b")] }), true);
});

const stringCases: [StringMatch, boolean][] = [
  [exact("cluster.local/ns/web/sa/frontend"), true],
  [exact("spiffe://cluster.local/ns/web/sa/frontend"), true],
  [exact("cluster.local/ns/web/sa/front"), false],
  [exact("CLUSTER.LOCAL/ns/web/sa/frontend"), false],
  [prefix("cluster.local/ns/web/"), true],
  [prefix("spiffe://cluster.local/ns/web/"), true],
  [prefix("spiffe://"), true],
  [prefix("ns/web/"), false],
  [suffix("/sa/frontend"), true],
  [suffix("spiffe://cluster.local/ns/web/sa/frontend"), true],
  [suffix("x://cluster.local/ns/web/sa/frontend"), false],
  [suffix("/sa/backend"), false],
  [presence, true],
];

test("principals compare by exact, prefix, suffix and presence, without spiffe:// on either side", () => {
  for (const [value, expected] of stringCases) {
    assert.equal(holds({ principals: [value] }), expected, JSON.stringify(value));
    assert.equal(holds({ notPrincipals: [value] }), !expected, JSON.stringify(value));
  }
});

test("a peer without identity has no principal: no positive holds, not even an empty prefix", () => {
  for (const value of [presence, prefix(""), suffix(""), exact("")]) {
    assert.equal(holds({ principals: [value] }, plaintext), false, JSON.stringify(value));
    assert.equal(holds({ notPrincipals: [value] }, plaintext), true, JSON.stringify(value));
  }
});

test("the STRICT rule, DENY of notPrincipals presence, refuses plaintext and nothing else", () => {
  const strict = policy({
    action: "deny",
    scope: "workload-selector",
    rules: [{ clauses: [clause({ notPrincipals: [presence] })] }],
  });
  assert.equal(decide([strict], plaintext).allowed, false);
  assert.equal(decide([strict]).allowed, true);
});

test("the namespace of a plaintext peer is empty, so presence does not hold", () => {
  assert.equal(holds({ namespaces: [presence] }, plaintext), false);
  assert.equal(holds({ namespaces: [prefix("w")] }, plaintext), false);
  assert.equal(holds({ notNamespaces: [presence] }, plaintext), true);
  assert.equal(holds({ notNamespaces: [exact("web")] }, plaintext), true);
  assert.equal(holds({ namespaces: [prefix("we")] }), true);
  assert.equal(holds({ namespaces: [suffix("eb")] }), true);
});

test("service accounts ignore the trust domain and need an identity", () => {
  const account = { namespace: "web", serviceAccount: "frontend" };
  const foreign = connection({ sourceIdentity: makeIdentity("other.example", "web", "frontend") });
  assert.equal(holds({ serviceAccounts: [account] }), true);
  assert.equal(holds({ serviceAccounts: [account] }, foreign), true);
  assert.equal(holds({ serviceAccounts: [{ ...account, namespace: "shop" }] }), false);
  assert.equal(holds({ serviceAccounts: [account] }, plaintext), false);
  assert.equal(holds({ notServiceAccounts: [account] }, plaintext), true);
  assert.equal(holds({ notServiceAccounts: [account] }), false);
});

test("CIDRs match source and destination by family and length, host bits ignored", () => {
  const v6 = connection({ sourceIp: ip("2001:db8::1"), destinationIp: ip("2001:db8:1::9") });
  assert.equal(holds({ sourceIps: [cidr("10.0.0.77/24")] }), true);
  assert.equal(holds({ sourceIps: [cidr("10.0.0.0/32")] }), false);
  assert.equal(holds({ sourceIps: [cidr("10.0.0.1")] }), true);
  assert.equal(holds({ sourceIps: [cidr("0.0.0.0/0")] }), true);
  assert.equal(holds({ sourceIps: [cidr("::/0")] }), false);
  assert.equal(holds({ sourceIps: [cidr("2001:db8::/33")] }, v6), true);
  assert.equal(holds({ destinationIps: [cidr("2001:db8:1::/48")] }, v6), true);
  assert.equal(holds({ notDestinationIps: [cidr("2001:db8:1::/48")] }, v6), false);
  assert.equal(holds({ notSourceIps: [cidr("10.0.0.0/8")] }), false);
  assert.equal(holds({ sourceIps: [cidr("::ffff:10.0.0.1")] }), true);
});

test("among many rules, those at the edge of what they match are found", () => {
  const crowd = Array.from({ length: 50 }, () => ({
    clauses: [clause({ destinationPorts: [1] })],
  }));
  const edges: [Partial<Match>, boolean][] = [
    [{ principals: [prefix("cluster.local/ns/web/sa/frontend")] }, true],
    [{ principals: [prefix("cluster.local/ns/web/sa/frontend2")] }, false],
    [{ principals: [suffix("cluster.local/ns/web/sa/frontend")] }, true],
    [{ principals: [suffix("xcluster.local/ns/web/sa/frontend")] }, false],
    [{ principals: [prefix("spiffe://")] }, true],
    [{ namespaces: [prefix("")] }, true],
    [{ namespaces: [suffix("web")] }, true],
    [{ sourceIps: [cidr("11.0.0.0/7")] }, true],
    [{ sourceIps: [cidr("12.0.0.0/7")] }, false],
    [{ destinationIps: [cidr("10.0.1.2")] }, true],
    [{ destinationIps: [cidr("0.0.0.0/0")] }, true],
    [{ destinationIps: [cidr("::/0")] }, false],
    [{ principals: [exact("x"), presence] }, true],
  ];
  for (const [fields, expected] of edges) {
    const list = [policy({ rules: [...crowd, { clauses: [clause(fields)] }] })];
    const verdict = decide(list);
    assert.equal(verdict.allowed, expected, JSON.stringify(fields));
    if (verdict.allowed) assert.equal(verdict.by?.rule, 50);
  }
});

test("compiling the same list again is free", () => {
  const list = [policy({ rules: everything })];
  assert.equal(compilePolicies(list), compilePolicies(list));
});
