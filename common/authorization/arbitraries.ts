/**
 * Random policies and connections from small pools, so that hits and misses are both common: for
 * tests.
 */
import fc from "fast-check";
import {
  type Authorization,
  EMPTY_MATCH,
  type Match,
  type StringMatch,
} from "#common/model/authorization.ts";
import type { Connection } from "#common/model/connection.ts";
import { makeIdentity } from "#common/model/identity.ts";
import { type Cidr, type IpAddress, parseCidr, parseIp } from "#common/model/ip.ts";

const NAMESPACES = ["a", "ab", "b", "shop"];
const ACCOUNTS = ["x", "xy", "default"];
const TRUST_DOMAINS = ["cluster.local", "other"];
const PORTS = [80, 443, 8080];
const IPS = ["10.0.0.1", "10.0.1.200", "192.168.0.1", "2001:db8::1", "2001:db8:0:8000::1", "::"];
const BLOCKS = [
  "10.0.0.0/24",
  "10.0.0.0/7",
  "0.0.0.0/0",
  "10.0.0.1",
  "2001:db8:0:7fff::/49",
  "::/0",
  "::",
];

function parsed<T>(texts: readonly string[], parse: (text: string) => T | undefined): T[] {
  return texts.flatMap((text) => parse(text) ?? []);
}

const ipAddress: fc.Arbitrary<IpAddress> = fc.constantFrom(...parsed(IPS, parseIp));
const cidrBlock: fc.Arbitrary<Cidr> = fc.constantFrom(...parsed(BLOCKS, parseCidr));

const identity = fc
  .tuple(
    fc.constantFrom(...TRUST_DOMAINS),
    fc.constantFrom(...NAMESPACES),
    fc.constantFrom(...ACCOUNTS),
  )
  .map(([trustDomain, namespace, account]) => makeIdentity(trustDomain, namespace, account));

export const anyConnection: fc.Arbitrary<Connection> = fc
  .record({
    sourceIp: ipAddress,
    identity: fc.option(identity, { nil: undefined }),
    destinationIp: ipAddress,
    destinationPort: fc.constantFrom(...PORTS),
  })
  .map(({ identity: sourceIdentity, ...rest }) => ({
    ...rest,
    ...(sourceIdentity && { sourceIdentity }),
    destinationNetwork: "",
  }));

/** Matches over `texts` cut at random places, the empty cut included. */
function stringMatch(texts: fc.Arbitrary<string>): fc.Arbitrary<StringMatch> {
  const cut = fc.tuple(texts, fc.nat({ max: 40 }));
  return fc.oneof(
    texts.map((value) => ({ kind: "exact", value }) as const),
    cut.map(([text, n]) => ({ kind: "prefix", value: text.slice(0, n) }) as const),
    cut.map(([text, n]) => ({ kind: "suffix", value: text.slice(n) }) as const),
    fc.constant({ kind: "presence" } as const),
  );
}

const namespaceMatch = stringMatch(fc.constantFrom(...NAMESPACES, ""));
const principalMatch = stringMatch(
  fc
    .tuple(identity, fc.boolean())
    .map(([peer, whole]) => (whole ? peer.uri : peer.uri.slice("spiffe://".length))),
);
const accountMatch = fc.record({
  namespace: fc.constantFrom(...NAMESPACES),
  serviceAccount: fc.constantFrom(...ACCOUNTS),
});
const portMatch = fc.constantFrom(...PORTS);

function few<T>(values: fc.Arbitrary<T>): fc.Arbitrary<T[]> {
  return fc.oneof(
    { weight: 4, arbitrary: fc.constant<T[]>([]) },
    { weight: 1, arbitrary: fc.array(values, { minLength: 1, maxLength: 3 }) },
  );
}

const anyMatch: fc.Arbitrary<Match> = fc.record({
  namespaces: few(namespaceMatch),
  notNamespaces: few(namespaceMatch),
  principals: few(principalMatch),
  notPrincipals: few(principalMatch),
  serviceAccounts: few(accountMatch),
  notServiceAccounts: few(accountMatch),
  sourceIps: few(cidrBlock),
  notSourceIps: few(cidrBlock),
  destinationIps: few(cidrBlock),
  notDestinationIps: few(cidrBlock),
  destinationPorts: few(portMatch),
  notDestinationPorts: few(portMatch),
});

const anyClause = fc.record({ matches: fc.array(anyMatch, { maxLength: 3 }) });
const anyRule = fc.record({ clauses: fc.array(anyClause, { maxLength: 3 }) });

const fewPolicies: fc.Arbitrary<Authorization[]> = fc.uniqueArray(
  fc.record({
    name: fc.stringMatching(/^[a-z]{1,3}$/),
    namespace: fc.constantFrom(...NAMESPACES),
    scope: fc.constantFrom("global", "namespace", "workload-selector"),
    action: fc.constantFrom("allow", "deny", "allow", "deny", "audit"),
    rules: fc.array(anyRule, { maxLength: 5 }),
    dryRun: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.boolean()),
  }),
  { maxLength: 6, selector: (policy) => `${policy.namespace}/${policy.name}` },
);

/** Enough rules that match nothing for the others to be found through the index. */
function fillers(): Authorization[] {
  const rule = { clauses: [{ matches: [{ ...EMPTY_MATCH, destinationPorts: [1] }] }] };
  const filler = { namespace: "z", scope: "global", rules: Array(20).fill(rule) } as const;
  return [
    { ...filler, name: "allow", action: "allow", dryRun: false },
    { ...filler, name: "deny", action: "deny", dryRun: false },
    { ...filler, name: "dry-run", action: "deny", dryRun: true },
  ];
}

/** Policies with distinct names, in any order, few or many. */
export const anyPolicies: fc.Arbitrary<Authorization[]> = fc
  .tuple(fewPolicies, fc.boolean())
  .map(([policies, many]) => (many ? [...policies, ...fillers()] : policies));
