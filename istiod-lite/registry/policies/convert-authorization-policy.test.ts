/**
 * AuthorizationPolicy in, what ztunnel gets and what the status says out (ambient.md 1.4 F68-F75).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Rule } from "#common/model/authorization.ts";
import { formatCidr } from "#common/model/ip.ts";
import { any, convert, fromWeb, rule, selector, web } from "./policy-fixtures.ts";

test("where a policy is attached follows from namespace and selector, the empty ones alike", () => {
  for (const wide of [{}, { selector: {} }, { selector: { matchLabels: {} } }]) {
    assert.equal(convert(wide).authorization?.scope, "namespace");
    const root = convert(wide, { namespace: "istio-system" });
    assert.equal(root.authorization?.scope, "global");
  }
  assert.equal(convert({ selector }).authorization?.scope, "workload-selector");
  const root = convert({ selector }, { namespace: "istio-system" });
  assert.equal(root.authorization?.scope, "workload-selector");
});

test("D4 61: an empty policy is an ALLOW without rules, and an empty rule matches everything", () => {
  for (const spec of [undefined, {}, { rules: [] }]) {
    const { authorization } = convert(spec);
    assert.equal(authorization?.action, "allow");
    assert.deepEqual(authorization.rules, []);
  }
  assert.deepEqual(convert({ rules: [{}] }).authorization?.rules, [any]);
  assert.deepEqual(convert({ action: "DENY", rules: [{}] }).authorization?.rules, [any]);
});

test("upstream 50110: a policy with targetRefs never reaches ztunnel, whatever else it says", () => {
  const ref = { kind: "Gateway", group: "gateway.networking.k8s.io", name: "waypoint" };
  for (const spec of [{ targetRef: ref }, { targetRefs: [ref] }, { targetRefs: [ref], selector }]) {
    const { authorization, conditions } = convert({ ...spec, action: "DENY", rules: [{}] });
    assert.equal(authorization, undefined);
    assert.deepEqual(conditions, [
      {
        type: "WaypointAccepted",
        status: "False",
        reason: "AncestorNotBound",
        message: "Gateway waypoint: not bound to a waypoint, so nothing enforces this policy",
      },
    ]);
  }
  assert.ok(convert({ targetRefs: [] }).authorization !== undefined);
});

test("CUSTOM is not ztunnel's, and the status says so in Istio's words", () => {
  const { authorization, conditions } = convert(
    { action: "CUSTOM", rules: [{}] },
    { generation: 3 },
  );
  assert.equal(authorization, undefined);
  assert.deepEqual(conditions, [
    {
      type: "ZtunnelAccepted",
      status: "False",
      reason: "UnsupportedValue",
      message: "ztunnel does not support the CUSTOM action",
      observedGeneration: 3,
    },
  ]);
});

test("AUDIT reaches ztunnel with the rules that can be read whole, and never as ALLOW or DENY", () => {
  const { authorization, conditions } = convert({
    action: "AUDIT",
    rules: [{ from: [fromWeb] }, { from: [fromWeb], to: [{ operation: { methods: ["GET"] } }] }],
  });
  assert.equal(authorization?.action, "audit");
  assert.deepEqual(authorization.rules, [rule([web])]);
  assert.equal(conditions[0]?.status, "True");
  assert.match(conditions[0]?.message ?? "", /tells what it matches.* 1 of 2 rules\. rules\[1\]/);
  const broken = convert({ action: "AUDIT", rulez: [{}], rules: [{}] });
  assert.deepEqual(broken.authorization?.rules, []);
  assert.equal(broken.conditions[0]?.reason, "Invalid");
});

test("absent, empty and filled lists are three things: an empty one never matches everything", () => {
  const cases: [object, object][] = [
    [{}, { from: [] }],
    [{}, { to: [] }],
    [{}, { when: [] }],
    [{ from: [fromWeb] }, { from: [{ source: { namespaces: ["web"], principals: [] } }] }],
    [{ from: [fromWeb] }, { from: [{ source: { namespaces: ["web"], notIpBlocks: [] } }] }],
    [{ from: [fromWeb] }, { from: [fromWeb], to: [{ operation: { methods: [] } }] }],
    [{ from: [fromWeb] }, { from: [fromWeb], to: [{ operation: {} }] }],
    [{ from: [fromWeb] }, { from: [fromWeb], when: [{ key: "source.ip", values: [] }] }],
  ];
  for (const [absent, empty] of cases) {
    assert.equal(convert({ rules: [absent] }).authorization?.rules.length, 1);
    const { authorization, conditions } = convert({ rules: [empty] });
    assert.deepEqual(authorization?.rules, [], JSON.stringify(empty));
    assert.equal(conditions[0]?.reason, "Invalid");
    const deny = (one: object) => convert({ action: "DENY", rules: [one] }).authorization?.rules;
    assert.deepEqual(deny(empty), deny(absent), "a DENY denies as if it were absent");
  }
});

test("every L4 field becomes its field of the match, operations, sources and conditions AND'd", () => {
  const source = {
    principals: ["td/ns/a/sa/b", "spiffe://td/ns/c/*"],
    notPrincipals: ["*"],
    namespaces: ["web*"],
    notNamespaces: ["*-dev"],
    serviceAccounts: ["front", "web/back"],
    notServiceAccounts: ["x"],
    ipBlocks: ["10.1.0.0/16", "2001:db8::1"],
    notIpBlocks: ["10.1.2.3"],
  };
  const operation = { ports: ["80", "443"], notPorts: ["8080"] };
  const when = [
    { key: "destination.ip", values: ["10.0.0.1"], notValues: ["::/0"] },
    { key: "source.principal", notValues: ["td/ns/a/sa/z"] },
  ];
  const { authorization, issues } = convert({
    rules: [{ from: [{ source }], to: [{ operation }], when }],
  });
  assert.deepEqual(issues, []);
  const [converted] = authorization?.rules ?? [];
  const text = converted?.clauses.map((clause) =>
    clause.matches.map((m) =>
      Object.fromEntries(
        Object.entries(m)
          .filter(([, values]) => values.length > 0)
          .map(([field, values]) => [
            field,
            field.endsWith("Ips") ? values.map(formatCidr) : values,
          ]),
      ),
    ),
  );
  assert.deepEqual(text, [
    [
      {
        principals: [
          { kind: "exact", value: "td/ns/a/sa/b" },
          { kind: "prefix", value: "td/ns/c/" },
        ],
        notPrincipals: [{ kind: "presence" }],
        namespaces: [{ kind: "prefix", value: "web" }],
        notNamespaces: [{ kind: "suffix", value: "-dev" }],
        serviceAccounts: [
          { namespace: "shop", serviceAccount: "front" },
          { namespace: "web", serviceAccount: "back" },
        ],
        notServiceAccounts: [{ namespace: "shop", serviceAccount: "x" }],
        sourceIps: ["10.1.0.0/16", "2001:db8::1/128"],
        notSourceIps: ["10.1.2.3/32"],
      },
    ],
    [{ destinationPorts: [80, 443], notDestinationPorts: [8080] }],
    [{ destinationIps: ["10.0.0.1/32"], notDestinationIps: ["::/0"] }],
    [{ notPrincipals: [{ kind: "exact", value: "td/ns/a/sa/z" }] }],
  ]);
});

test("a policy that cannot be read as a whole is enforced at its strictest, with reason Invalid", () => {
  const cases: [unknown, string, Rule[]][] = [
    [{ action: "Deny", rules: [{}] }, "allow", []],
    [{ rule: [{}], rules: [{}] }, "allow", []],
    [{ action: "DENY", rulez: [{}] }, "deny", [any]],
    [{ rules: "all" }, "allow", []],
    [{ selector: { matchExpressions: [] }, rules: [{}] }, "allow", []],
    [{ selector: { matchLabels: { app: "*" } }, rules: [{}] }, "allow", []],
    ["ALLOW", "allow", []],
  ];
  for (const [spec, action, rules] of cases) {
    const { authorization, conditions, issues } = convert(spec);
    assert.equal(authorization?.action, action);
    assert.deepEqual(authorization.rules, rules);
    assert.equal(conditions[0]?.reason, "Invalid");
    assert.ok(issues.length > 0);
  }
});

test("a DENY with a selector that cannot be read covers more workloads with the rules it has", () => {
  const wide = { selector: { matchLabels: { app: "*", tier: "db" } } };
  const { authorization, selector: labels } = convert({
    ...wide,
    action: "DENY",
    rules: [{ from: [fromWeb] }],
  });
  assert.deepEqual(authorization?.rules, [rule([web])]);
  assert.deepEqual(labels, { tier: "db" });
});

test("a * in the middle is taken literally, as Istio does, and noted", () => {
  const written = { from: [{ source: { principals: ["td/ns/*/sa/x", "td/ns/a/sa/x"] } }] };
  const { authorization, conditions, issues } = convert({ rules: [written] });
  assert.equal(authorization?.rules.length, 1);
  assert.equal(issues[0]?.effect, "noted");
  assert.equal(conditions[0]?.status, "True");
  assert.equal(conditions[0]?.reason, "PartiallyInvalid");
});

test("dry run is read as Istio reads it; anything else is enforced and noted", () => {
  const dryRun = (value: string) =>
    convert({ rules: [{}] }, { annotations: { "istio.io/dry-run": value } });
  for (const value of ["true", "True", "1"]) {
    assert.equal(dryRun(value).authorization?.dryRun, true);
    assert.match(dryRun(value).conditions[0]?.message ?? "", /dry run/);
  }
  for (const value of ["false", "0", ""]) assert.equal(dryRun(value).authorization?.dryRun, false);
  assert.equal(dryRun("yes").authorization?.dryRun, false);
  assert.equal(dryRun("yes").issues[0]?.effect, "noted");
});
