/** Principals under trust-domain aliases, as istiod expands them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compilePolicies, evaluate } from "#common/authorization/evaluate.ts";
import { connection } from "#common/authorization/policy-fixtures.ts";
import { makeIdentity } from "#common/model/identity.ts";
import { convertAuthorizationPolicy } from "./index.ts";
import { policy } from "./policy-fixtures.ts";
import { expandPrincipal } from "./trust-domains.ts";

const MESH = { trustDomain: "td1", trustDomainAliases: ["old-td", "td3"] };

test("a principal of the mesh's trust domain or of an alias stands for all of them", () => {
  const all = ["td1/ns/a/sa/b", "old-td/ns/a/sa/b", "td3/ns/a/sa/b"];
  for (const domain of ["td1", "old-td", "td3", "cluster.local", "td*"]) {
    assert.deepEqual(expandPrincipal(`${domain}/ns/a/sa/b`, MESH), all, domain);
  }
  const many = ["td1/ns/a/sa/*", "old-td/ns/a/sa/*", "td3/ns/a/sa/*"];
  assert.deepEqual(expandPrincipal("old-td/ns/a/sa/*", MESH), many);
});

test("a suffix of trust domains stays for those that it covers, and is written out for the others", () => {
  const expanded = ["td1/ns/a/sa/b", "*-td/ns/a/sa/b", "td3/ns/a/sa/b"];
  assert.deepEqual(expandPrincipal("*-td/ns/a/sa/b", MESH), expanded);
});

test("what names no trust domain of the mesh stays as it is", () => {
  for (const principal of [
    "*",
    "*/ns/a/sa/b",
    "*/sa/b",
    "td1/*",
    "td1/ns/a/*",
    "td2/ns/a/sa/b",
    "sa/b",
    "",
    "td1/ns/a/sa/b/c",
  ]) {
    assert.deepEqual(expandPrincipal(principal, MESH), [principal]);
  }
});

test("without aliases only cluster.local means another trust domain, and without any nothing does", () => {
  const own = { trustDomain: "td1" };
  assert.deepEqual(expandPrincipal("cluster.local/ns/a/sa/b", own), ["td1/ns/a/sa/b"]);
  assert.deepEqual(expandPrincipal("td1/ns/a/sa/b", own), ["td1/ns/a/sa/b"]);
  assert.deepEqual(expandPrincipal("cluster.local/ns/a/sa/b", {}), ["cluster.local/ns/a/sa/b"]);
});

const DOMAINS = ["td1", "old-td", "td3", "foreign", "cluster.local"];
const MESH_DOMAINS = ["td1", "old-td", "td3"];

/**
 * Straight from Istio's documentation: any mesh domain stands for all, other ones for themselves.
 */
function naiveNames(written: string, rest: string, peer: ReturnType<typeof makeIdentity>): boolean {
  if (rest !== `ns/${peer.namespace}/sa/${peer.serviceAccount}`) return false;
  if (written === "*") return true;
  const ofMesh = MESH_DOMAINS.includes(written) || written === "cluster.local";
  return ofMesh ? MESH_DOMAINS.includes(peer.trustDomain) : peer.trustDomain === written;
}

test("ALLOW and DENY, listed and excluded, decide for every alias as for the mesh's own domain", () => {
  const names = fc.constantFrom("a", "b");
  fc.assert(
    fc.property(
      fc.tuple(fc.constantFrom(...DOMAINS), names, names),
      fc.array(fc.tuple(fc.constantFrom(...DOMAINS, "*"), names, names), {
        minLength: 1,
        maxLength: 3,
      }),
      fc.record({ deny: fc.boolean(), not: fc.boolean(), when: fc.boolean(), uri: fc.boolean() }),
      ([domain, namespace, account], listed, { deny, not, when, uri }) => {
        const peer = makeIdentity(domain, namespace, account);
        const values = listed.map(
          ([td, ns, sa]) => `${uri ? "spiffe://" : ""}${td}/ns/${ns}/sa/${sa}`,
        );
        const field = not ? "notPrincipals" : "principals";
        const rule = when
          ? { when: [{ key: "source.principal", [not ? "notValues" : "values"]: values }] }
          : { from: [{ source: { [field]: values } }] };
        const spec = { action: deny ? "DENY" : "ALLOW", rules: [rule] };
        const options = { rootNamespace: "istio-system", ...MESH };
        const { authorization } = convertAuthorizationPolicy(policy(spec), options);
        assert.ok(authorization !== undefined);
        const named = listed.some(([td, ns, sa]) => naiveNames(td, `ns/${ns}/sa/${sa}`, peer));
        const verdict = evaluate(
          connection({ sourceIdentity: peer }),
          compilePolicies([authorization]),
        );
        assert.equal(verdict.allowed, (named !== not) !== deny);
      },
    ),
    { numRuns: 2000 },
  );
});
