/** What ztunnel enforces of rules that it cannot enforce whole (ambient.md 1.4 F70-F73). */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Rule } from "#common/model/authorization.ts";
import {
  any,
  convert,
  fromJwt,
  fromWeb,
  port80,
  rule,
  to80,
  toGet,
  web,
  whenHeader,
} from "./policy-fixtures.ts";

/**
 * A rule with HTTP attributes: what is left of it in a DENY; nothing is in an ALLOW.
 */
const httpRules: [string, unknown, Rule[]][] = [
  ["only HTTP", { to: [toGet] }, []],
  ["only a header condition", { when: [whenHeader] }, []],
  ["source and HTTP", { from: [fromWeb], to: [toGet] }, [rule([web])]],
  ["JWT and port", { from: [fromJwt], to: [to80] }, [rule([port80])]],
  [
    "port and method in one operation",
    { to: [{ operation: { ports: ["80"], methods: ["GET"] } }] },
    [rule([port80])],
  ],
  ["a port, or a method", { to: [to80, toGet] }, [rule([port80])]],
  ["a source, with a port or a method", { from: [fromWeb], to: [to80, toGet] }, [rule([web])]],
  [
    "a source or a JWT, with a port or a method",
    { from: [fromWeb, fromJwt], to: [to80, toGet] },
    [rule([web]), rule([port80])],
  ],
  [
    "HTTP and an L4 condition",
    { to: [toGet], when: [{ key: "source.namespace", values: ["web"] }] },
    [rule([web])],
  ],
  ["source and a header condition", { from: [fromWeb], when: [whenHeader] }, [rule([web])]],
];

for (const [name, written, denied] of httpRules) {
  test(`D4 61: HTTP at ztunnel: ${name}: an ALLOW loses the rule, a DENY keeps its L4 part`, () => {
    const allow = convert({ rules: [written, { from: [fromWeb] }] });
    assert.deepEqual(allow.authorization?.rules, [rule([web])]);
    assert.deepEqual(allow.ruleOrigins, [1]);
    assert.equal(allow.conditions[0]?.reason, "UnsupportedValue");
    assert.equal(allow.conditions[0]?.status, "True");
    const deny = convert({ action: "DENY", rules: [written] });
    assert.deepEqual(deny.authorization?.rules, denied);
    assert.equal(deny.conditions[0]?.reason, "UnsupportedValue");
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

/**
 * A part that cannot be read, beside `ports: ["80"]`: the field of its issue, and what is left in a
 * DENY.
 */
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
