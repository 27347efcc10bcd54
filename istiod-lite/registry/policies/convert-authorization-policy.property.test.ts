/**
 * Random policies, valid and broken: what ztunnel gets never admits what a naive reading would
 * refuse.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compilePolicies, evaluate } from "#common/authorization/evaluate.ts";
import type { AuthorizationPolicy } from "#common/kubernetes/objects.ts";
import type { Connection } from "#common/model/connection.ts";
import { makeIdentity } from "#common/model/identity.ts";
import { parseIp } from "#common/model/ip.ts";
import { convertAuthorizationPolicy } from "./index.ts";
import { naiveAdmits } from "./oracle.ts";

const options = { rootNamespace: "istio-system" };

const IPS = ["10.0.0.1", "10.0.1.1", "2001:db8::1"].flatMap((text) => parseIp(text) ?? []);
const anyPeer = fc
  .tuple(fc.constantFrom("web", "shop"), fc.constantFrom("front", "cart"))
  .map(([namespace, account]) => makeIdentity("cluster.local", namespace, account));

const anyConnection: fc.Arbitrary<Connection> = fc
  .record({
    sourceIp: fc.constantFrom(...IPS),
    peer: fc.option(anyPeer, { nil: undefined }),
    destinationIp: fc.constantFrom(...IPS),
    destinationPort: fc.constantFrom(80, 8080),
  })
  .map(({ peer, ...rest }) => ({
    ...rest,
    ...(peer && { sourceIdentity: peer }),
    destinationNetwork: "",
  }));

const GOOD: Record<string, string[]> = {
  principals: ["cluster.local/ns/web/sa/front", "*/sa/cart", "cluster.local/ns/shop/*", "*"],
  namespaces: ["web", "sh*", "*b", "*"],
  serviceAccounts: ["cart", "web/front", "shop/front"],
  ipBlocks: ["10.0.0.0/24", "10.0.1.1", "0.0.0.0/0", "2001:db8::/32", "::/0"],
  ports: ["80", "8080"],
  methods: ["GET"],
  paths: ["/a"],
  hosts: ["a.example"],
  requestPrincipals: ["*"],
  "request.headers[x]": ["1"],
};
const BAD: Record<string, string[]> = {
  principals: [""],
  namespaces: [""],
  serviceAccounts: ["", "a/b/c", "*"],
  ipBlocks: ["", "10.0.0.0/33", "10.0.0", "10.0.0.1-9"],
  ports: ["", "http", "0", "70000", "-1"],
};
const SOURCE = ["principals", "namespaces", "serviceAccounts", "ipBlocks", "requestPrincipals"];
const OPERATION = ["ports", "methods", "paths", "hosts"];
const CONDITIONS: Record<string, string> = {
  "source.ip": "ipBlocks",
  "source.namespace": "namespaces",
  "source.principal": "principals",
  "source.serviceAccount": "serviceAccounts",
  "destination.ip": "ipBlocks",
  "destination.port": "ports",
  "request.headers[x]": "request.headers[x]",
};

function anyValues(field: string, broken: boolean): fc.Arbitrary<string[]> {
  const bad = broken ? (BAD[field] ?? []) : [];
  const good = fc.constantFrom(...(GOOD[field] ?? []));
  const one =
    bad.length === 0 ? good : fc.oneof({ weight: 6, arbitrary: good }, fc.constantFrom(...bad));
  return fc.array(one, { minLength: broken ? 0 : 1, maxLength: 2 });
}

const capitalized = (field: string) => `${field.charAt(0).toUpperCase()}${field.slice(1)}`;

/**
 * An object with one to three of the fields, each positive or negative; sometimes one that does not
 * exist.
 */
function anyFields(names: readonly string[], broken: boolean): fc.Arbitrary<object> {
  const field = fc.constantFrom(...names).chain((name) =>
    fc.tuple(
      fc.boolean().map((not) => (not ? `not${capitalized(name)}` : name)),
      anyValues(name, broken),
    ),
  );
  const unknown = fc.constant<[string, string[]]>(["principal", ["a"]]);
  const either = broken ? fc.oneof({ weight: 12, arbitrary: field }, unknown) : field;
  return fc.array(either, { minLength: 1, maxLength: 3 }).map((list) => Object.fromEntries(list));
}

function anyCondition(broken: boolean): fc.Arbitrary<object> {
  return fc.constantFrom(...Object.keys(CONDITIONS)).chain((key) => {
    const values = anyValues(CONDITIONS[key] ?? "", broken);
    return fc
      .tuple(fc.constantFrom("values", "notValues", "both"), values, values)
      .map(([which, a, b]) => ({
        key,
        ...(which !== "notValues" && { values: a }),
        ...(which !== "values" && { notValues: b }),
      }));
  });
}

function maybe(list: fc.Arbitrary<object>): fc.Arbitrary<object[] | undefined> {
  return fc.option(fc.array(list, { minLength: 1, maxLength: 2 }), { nil: undefined });
}

function anyPolicy(broken: boolean): fc.Arbitrary<AuthorizationPolicy> {
  const rule = fc
    .record({
      from: maybe(anyFields(SOURCE, broken).map((source) => ({ source }))),
      to: maybe(anyFields(OPERATION, broken).map((operation) => ({ operation }))),
      when: fc.oneof({ weight: 2, arbitrary: fc.constant(undefined) }, maybe(anyCondition(broken))),
    })
    .map((lists) => Object.fromEntries(Object.entries(lists).filter(([, list]) => list)));
  return fc
    .record({
      action: fc.constantFrom("ALLOW", "DENY", undefined),
      rules: fc.array(rule, { maxLength: 3 }),
    })
    .map(({ action, rules }) => ({
      apiVersion: "security.istio.io/v1",
      kind: "AuthorizationPolicy",
      metadata: { name: "p", namespace: "shop" },
      spec: { ...(action && { action }), rules },
    }));
}

function converted(connection: Connection, policies: readonly AuthorizationPolicy[]): boolean {
  const authorizations = policies.map((policy, i) => {
    const { authorization } = convertAuthorizationPolicy(policy, options);
    assert.ok(authorization !== undefined);
    return { ...authorization, name: `p${i}` };
  });
  return evaluate(connection, compilePolicies(authorizations)).allowed;
}

test("policies that can be read are enforced exactly as they read, HTTP attributes as in Istio", () => {
  fc.assert(
    fc.property(
      anyConnection,
      fc.array(anyPolicy(false), { maxLength: 3 }),
      (connection, policies) => {
        assert.equal(converted(connection, policies), naiveAdmits(connection, policies));
      },
    ),
    { numRuns: 4000 },
  );
});

test("D4 61: whatever is broken, nothing is admitted that a naive reading would refuse", () => {
  fc.assert(
    fc.property(
      anyConnection,
      fc.array(anyPolicy(true), { maxLength: 3 }),
      (connection, policies) => {
        if (converted(connection, policies)) assert.ok(naiveAdmits(connection, policies));
      },
    ),
    { numRuns: 4000 },
  );
});

test("the status of a policy is a clean Accepted exactly when it has no issue", () => {
  fc.assert(
    fc.property(anyPolicy(true), (policy) => {
      const { conditions, issues } = convertAuthorizationPolicy(policy, options);
      assert.equal(conditions.length, 1);
      assert.equal(conditions[0]?.reason === "Accepted", issues.length === 0);
    }),
    { numRuns: 1000 },
  );
});

test("no spec whatsoever makes the conversion throw", () => {
  const spec = fc.record(
    {
      action: fc.oneof(fc.constantFrom("ALLOW", "Allow", null), fc.anything()),
      rules: fc.oneof(fc.array(fc.anything()), fc.anything()),
      selector: fc.anything(),
      targetRefs: fc.constant(undefined),
      extra: fc.anything(),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.oneof(spec, fc.anything()), (anySpec) => {
      const policy = {
        apiVersion: "security.istio.io/v1",
        kind: "AuthorizationPolicy",
        metadata: { name: "p", namespace: "shop" },
        spec: anySpec as AuthorizationPolicy["spec"] & object,
      } as const;
      convertAuthorizationPolicy(policy, options);
    }),
    { numRuns: 2000 },
  );
});
