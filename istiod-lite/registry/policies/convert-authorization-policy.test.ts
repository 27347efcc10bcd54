/** AuthorizationPolicy in, what ztunnel gets and what the status says out (ambient.md 1.4 F68-F75). */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AuthorizationPolicy } from "#common/kubernetes/objects.ts";
import { EMPTY_MATCH, type Match, type Rule } from "#common/model/authorization.ts";
import { formatCidr } from "#common/model/ip.ts";
import { convertAuthorizationPolicy, PolicyIndex } from "./index.ts";

const options = { rootNamespace: "istio-system" };
const selector = { matchLabels: { app: "cart" } };

function policy(spec: unknown, metadata: object = {}): AuthorizationPolicy {
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "p", namespace: "shop", ...metadata },
    spec: spec as NonNullable<AuthorizationPolicy["spec"]>,
  };
}

const convert = (spec: unknown, metadata: object = {}) =>
  convertAuthorizationPolicy(policy(spec, metadata), options);

const match = (fields: Partial<Match>): Match => ({ ...EMPTY_MATCH, ...fields });
const any: Rule = { clauses: [] };
const rule = (...clauses: Partial<Match>[][]): Rule => ({
  clauses: clauses.map((matches) => ({ matches: matches.map(match) })),
});

const web: Partial<Match> = { namespaces: [{ kind: "exact", value: "web" }] };
const port80: Partial<Match> = { destinationPorts: [80] };
const fromWeb = { source: { namespaces: ["web"] } };
const to80 = { operation: { ports: ["80"] } };
const toGet = { operation: { methods: ["GET"] } };
const fromJwt = { source: { requestPrincipals: ["*"] } };
const whenHeader = { key: "request.headers[x-debug]", values: ["1"] };

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
    assert.deepEqual(conditions, []);
  }
  assert.ok(convert({ targetRefs: [] }).authorization !== undefined);
});

test("AUDIT and CUSTOM are not ztunnel's, and the status says so in Istio's words", () => {
  for (const action of ["AUDIT", "CUSTOM"]) {
    const { authorization, conditions } = convert({ action, rules: [{}] }, { generation: 3 });
    assert.equal(authorization, undefined);
    assert.deepEqual(conditions, [
      {
        type: "ZtunnelAccepted",
        status: "False",
        reason: "UnsupportedValue",
        message: `ztunnel does not support the ${action} action`,
        observedGeneration: 3,
      },
    ]);
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

/** A rule with HTTP attributes: what is left of it in an ALLOW, in a DENY, and the DENY's reason. */
const httpRules: [string, unknown, Rule[], string][] = [
  ["only HTTP", { to: [toGet] }, [], "Invalid"],
  ["only a header condition", { when: [whenHeader] }, [], "Invalid"],
  ["source and HTTP", { from: [fromWeb], to: [toGet] }, [rule([web])], "UnsupportedValue"],
  ["JWT and port", { from: [fromJwt], to: [to80] }, [rule([port80])], "UnsupportedValue"],
  [
    "port and method in one operation",
    { to: [{ operation: { ports: ["80"], methods: ["GET"] } }] },
    [rule([port80])],
    "UnsupportedValue",
  ],
  ["a port, or a method", { to: [to80, toGet] }, [rule([port80])], "PartiallyInvalid"],
  [
    "a source, with a port or a method",
    { from: [fromWeb], to: [to80, toGet] },
    [rule([web])],
    "UnsupportedValue",
  ],
  [
    "a source or a JWT, with a port or a method",
    { from: [fromWeb, fromJwt], to: [to80, toGet] },
    [rule([web]), rule([port80])],
    "PartiallyInvalid",
  ],
  [
    "HTTP and an L4 condition",
    { to: [toGet], when: [{ key: "source.namespace", values: ["web"] }] },
    [rule([web])],
    "UnsupportedValue",
  ],
  [
    "source and a header condition",
    { from: [fromWeb], when: [whenHeader] },
    [rule([web])],
    "UnsupportedValue",
  ],
];

for (const [name, written, denied, reason] of httpRules) {
  test(`D4 61: HTTP at ztunnel: ${name}: an ALLOW loses the rule, a DENY keeps its L4 part`, () => {
    const allow = convert({ rules: [written, { from: [fromWeb] }] });
    assert.deepEqual(allow.authorization?.rules, [rule([web])]);
    assert.deepEqual(allow.ruleOrigins, [1]);
    assert.equal(allow.conditions[0]?.reason, "UnsupportedValue");
    assert.equal(allow.conditions[0]?.status, "True");
    const deny = convert({ action: "DENY", rules: [written] });
    assert.deepEqual(deny.authorization?.rules, denied);
    assert.equal(deny.conditions[0]?.reason, reason);
    assert.equal(deny.conditions[0]?.status, denied.length === 0 ? "False" : "True");
  });
}

test("upstream 61126: a DENY that asks only for HTTP is not reported as enforced", () => {
  const { conditions, issues } = convert({ action: "DENY", rules: [{ to: [toGet] }] });
  assert.equal(conditions[0]?.status, "False");
  assert.match(conditions[0]?.message ?? "", /no rule is left: the policy denies nothing/);
  assert.deepEqual(
    issues.map(({ rule: index, field, effect }) => ({ index, field, effect })),
    [{ index: 0, field: "rules[0].to[0].operation.methods", effect: "no-effect" }],
  );
});

/** A part that cannot be read, beside `ports: ["80"]`: the field of its issue, and what is left in a DENY. */
const broken: [string, unknown, string, Rule[]][] = [
  [
    "a port that is none",
    { to: [{ operation: { ports: ["http"] } }] },
    "to[0].operation.ports[0]",
    [any],
  ],
  [
    "a port among others",
    { to: [{ operation: { ports: ["80", "0"] } }] },
    "to[0].operation.ports[1]",
    [any],
  ],
  [
    "a port as a number",
    { to: [{ operation: { ports: [80] } }] },
    "to[0].operation.ports[0]",
    [any],
  ],
  [
    "an excluded port",
    { to: [{ operation: { ports: ["80"], notPorts: ["x", "81"] } }] },
    "to[0].operation.notPorts[0]",
    [rule([{ ...port80, notDestinationPorts: [81] }])],
  ],
  [
    "an empty string",
    { from: [{ source: { namespaces: [""] } }] },
    "from[0].source.namespaces[0]",
    [any],
  ],
  [
    "a CIDR block",
    { from: [{ source: { ipBlocks: ["10.0.0.0/33"], namespaces: ["web"] } }] },
    "from[0].source.ipBlocks[0]",
    [rule([web])],
  ],
  [
    "a block of mapped addresses",
    { from: [{ source: { ipBlocks: ["::ffff:10.0.0.0/24"] } }] },
    "from[0].source.ipBlocks[0]",
    [any],
  ],
  [
    "a service account with a wildcard",
    { from: [{ source: { serviceAccounts: ["web/*"] } }] },
    "from[0].source.serviceAccounts[0]",
    [any],
  ],
  [
    "an unknown source field",
    { from: [{ source: { principal: ["x"] } }] },
    "from[0].source.principal",
    [any],
  ],
  ["an empty source", { from: [{ source: {} }] }, "from[0].source", [any]],
  ["no source", { from: [{}] }, "from[0].source", [any]],
  ["an unknown rule field", { frm: [fromWeb], to: [to80] }, "frm", [rule([port80])]],
  ["an unknown field and HTTP", { frm: [fromWeb], to: [toGet] }, "frm", [any]],
  ["a list that is none", { from: fromWeb, to: [to80] }, "from", [rule([port80])]],
  [
    "values that are no list",
    { from: [{ source: { namespaces: "web" } }] },
    "from[0].source.namespaces",
    [any],
  ],
  ["an unknown condition", { when: [{ key: "source.ipp", values: ["1"] }] }, "when[0].key", [any]],
  ["a condition without values", { when: [{ key: "source.ip" }] }, "when[0]", [any]],
];

for (const [name, written, field, denied] of broken) {
  test(`never wider: ${name}: an ALLOW loses the rule, a DENY denies more`, () => {
    const allow = convert({ rules: [written, { to: [to80] }] });
    assert.deepEqual(allow.authorization?.rules, [rule([port80])]);
    assert.equal(allow.conditions[0]?.reason, "PartiallyInvalid");
    const deny = convert({ action: "DENY", rules: [written] });
    assert.deepEqual(deny.authorization?.rules, denied);
    assert.equal(deny.conditions[0]?.status, "True");
    for (const { issues, conditions } of [allow, deny]) {
      assert.equal(issues[0]?.field, `rules[0].${field}`);
      assert.equal(issues[0]?.rule, 0);
      assert.ok(conditions[0]?.message?.includes(`rules[0].${field}: `));
    }
  });
}

test("an ALLOW of which no rule is left stays in force and says that it allows nothing", () => {
  const { authorization, conditions } = convert({
    rules: [{ to: [{ operation: { ports: ["x"] } }] }],
  });
  assert.deepEqual(authorization?.rules, []);
  assert.equal(conditions[0]?.reason, "Invalid");
  assert.equal(conditions[0]?.status, "False");
  assert.match(conditions[0]?.message ?? "", /the policy allows nothing/);
});

test("a rule that is no object permits nothing and denies everything", () => {
  for (const written of [null, "x", []]) {
    assert.deepEqual(convert({ rules: [written] }).authorization?.rules, []);
    assert.deepEqual(convert({ action: "DENY", rules: [written] }).authorization?.rules, [any]);
  }
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

test("upstream 51556: selector policies reach workloads of their namespace, root ones all workloads", () => {
  const index = new PolicyIndex(options);
  const labels = { app: "cart", tier: "db" };
  index.set(policy({ selector }, { namespace: "shop" }));
  index.set(policy({ selector }, { namespace: "other" }));
  const change = index.set(policy({ selector }, { namespace: "istio-system", name: "root" }));
  index.set(policy({}, { namespace: "shop", name: "wide" }));
  assert.equal(change.affected, "all");
  assert.deepEqual(index.selectPolicies(labels, "shop"), ["istio-system/root", "shop/p"]);
  assert.deepEqual(index.selectPolicies(labels, "third"), ["istio-system/root"]);
  assert.deepEqual(index.selectPolicies(labels, "istio-system"), ["istio-system/root"]);
  assert.deepEqual(index.selectPolicies({ app: "other" }, "shop"), []);
  const both = { matchLabels: { app: "cart", tier: "web" } };
  index.set(policy({ selector: both }, { namespace: "shop" }));
  assert.deepEqual(index.selectPolicies(labels, "shop"), ["istio-system/root"]);
  assert.deepEqual(index.selectPolicies({ ...labels, tier: "web" }, "shop"), [
    "istio-system/root",
    "shop/p",
  ]);
});

test("the index tells what changed: nothing, the policy, or also who lists it", () => {
  const index = new PolicyIndex(options);
  const first = index.set(policy({ selector, rules: [{}] }));
  assert.deepEqual(first.affected, { namespace: "shop" });
  assert.equal(first.upserted.length, 1);
  const again = index.set(policy({ selector, rules: [{}] }));
  assert.deepEqual([again.affected, again.upserted, again.removed], ["none", [], []]);
  const edited = index.set(policy({ selector, rules: [] }));
  assert.deepEqual([edited.affected, edited.upserted.length], ["none", 1]);
  const widened = index.set(policy({ rules: [] }));
  assert.deepEqual(widened.affected, { namespace: "shop" });
  const gone = index.set(policy({ action: "AUDIT" }));
  assert.deepEqual(gone.removed, ["shop/p"]);
  assert.equal(index.authorizations().size, 0);
  const name = { namespace: "shop", name: "p" };
  assert.deepEqual(index.remove("AuthorizationPolicy", name).removed, []);
});
