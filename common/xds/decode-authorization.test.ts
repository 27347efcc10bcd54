/** Policies from newer or broken control planes: what is unknown never lets more through. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { compilePolicies, evaluate } from "#common/authorization/evaluate.ts";
import { connection } from "#common/authorization/policy-fixtures.ts";
import { EMPTY_MATCH, type Rule } from "#common/model/authorization.ts";
import { decodeAuthorization } from "./decode-authorization.ts";
import { encodeAuthorization } from "./encode-authorization.ts";
import * as wire from "./gen/istio/authorization_pb.js";
import { ExtensionSchema } from "./gen/istio/workload_pb.js";

type MatchInit = MessageInitShape<typeof wire.MatchSchema>;
type PolicyInit = MessageInitShape<typeof wire.AuthorizationSchema>;

const UNKNOWN_FIELD = { no: 99, wireType: 0, data: new Uint8Array([1]) };
const ALLOW = 0;
const DENY = 1;

const message = (init: PolicyInit): wire.Authorization =>
  create(wire.AuthorizationSchema, { name: "p", namespace: "n", ...init });

const encoded = (init: PolicyInit): Uint8Array => toBinary(wire.AuthorizationSchema, message(init));

const decoded = (init: PolicyInit) => decodeAuthorization(encoded(init));

/** The one rule of an ALLOW, and of a DENY, with this match. */
function read(match: MatchInit): { allow: readonly Rule[]; deny: readonly Rule[] } {
  const rules = [{ clauses: [{ matches: [match] }] }];
  return {
    allow: decoded({ action: ALLOW, rules }).rules,
    deny: decoded({ action: DENY, rules }).rules,
  };
}

function unknownIn<T extends object>(message: T): T {
  Object.assign(message, { $unknown: [UNKNOWN_FIELD] });
  return message;
}

const NEVER: Rule[] = [{ clauses: [{ matches: [EMPTY_MATCH] }] }];
const ALWAYS: Rule[] = [{ clauses: [] }];
const PORT_80: Rule[] = [{ clauses: [{ matches: [{ ...EMPTY_MATCH, destinationPorts: [80] }] }] }];

const text = (value: string) =>
  create(wire.StringMatchSchema, { matchType: { case: "exact", value } });
const block = (bytes: number[], length: number) =>
  create(wire.AddressSchema, { address: Uint8Array.from(bytes), length });

/** Parts that this version cannot read. */
const UNREADABLE: Readonly<Record<string, MatchInit>> = {
  "a string match with a new field": { principals: [unknownIn(text("x"))] },
  "a string match of a new kind": { namespaces: [create(wire.StringMatchSchema)] },
  "a service account with a new field": {
    serviceAccounts: [unknownIn(create(wire.ServiceAccountMatchSchema, { namespace: "x" }))],
  },
  "an address with a new field": { sourceIps: [unknownIn(block([10, 0, 0, 0], 8))] },
  "an address of three bytes": { sourceIps: [block([10, 0, 0], 8)] },
  "a prefix that is too long": { destinationIps: [block([10, 0, 0, 0], 33)] },
  "a port that is none": { destinationPorts: [70_000] },
  "an extension": { extensions: [{ name: "x" }] },
  "a new field": unknownIn(create(wire.MatchSchema)),
};

for (const [what, match] of Object.entries(UNREADABLE)) {
  test(`by a match with ${what} an ALLOW lets nobody in, and a DENY keeps everybody out`, () => {
    assert.deepEqual(read(match), { allow: NEVER, deny: ALWAYS });
  });

  test(`beside a port, ${what} makes an ALLOW match nothing and a DENY match the port`, () => {
    const beside = create(wire.MatchSchema, match);
    beside.destinationPorts = [80, ...beside.destinationPorts.filter((port) => port > 65_535)];
    const expected = what.startsWith("a port") ? ALWAYS : PORT_80;
    assert.deepEqual(read(beside), { allow: NEVER, deny: expected });
  });
}

test("an exclusion that cannot be read excludes nobody from a DENY, and everybody from an ALLOW", () => {
  const { allow, deny } = read({ notPrincipals: [text("a"), unknownIn(text("b"))] });
  assert.deepEqual(allow, NEVER);
  const notPrincipals = [{ kind: "exact", value: "a" } as const];
  assert.deepEqual(deny, [{ clauses: [{ matches: [{ ...EMPTY_MATCH, notPrincipals }] }] }]);
});

test("of several matches of an ALLOW's clause only the unreadable one is left out", () => {
  const matches = [UNREADABLE["an extension"] ?? {}, { destinationPorts: [80] }];
  const policy = decoded({ action: ALLOW, rules: [{ clauses: [{ matches }] }] });
  assert.deepEqual(policy.rules, PORT_80);
  assert.deepEqual(policy.unreadable, ["a match has an extension that this version does not know"]);
});

test("a clause with an unknown field is met for a DENY and never for an ALLOW", () => {
  const clause = unknownIn(create(wire.ClauseSchema, { matches: [{ destinationPorts: [81] }] }));
  const rules = [{ clauses: [{ matches: [{ destinationPorts: [80] }] }, clause] }];
  assert.deepEqual(decoded({ action: DENY, rules }).rules, PORT_80);
  assert.deepEqual(decoded({ action: ALLOW, rules }).rules[0]?.clauses[1], NEVER[0]?.clauses[0]);
});

test("a rule, or a whole policy, with an unknown field permits nothing or denies everything", () => {
  const rule = unknownIn(create(wire.RuleSchema, { clauses: [{ matches: [] }] }));
  const other = { clauses: [{ matches: [{ destinationPorts: [80] }] }] };
  assert.deepEqual(decoded({ action: ALLOW, rules: [rule, other] }).rules, PORT_80);
  assert.deepEqual(decoded({ action: DENY, rules: [rule] }).rules, ALWAYS);
  for (const spoil of [unknownIn, withExtension]) {
    const bytes = (action: number) =>
      toBinary(wire.AuthorizationSchema, spoil(message({ action, rules: [other] })));
    assert.deepEqual(decodeAuthorization(bytes(ALLOW)).rules, []);
    assert.deepEqual(decodeAuthorization(bytes(DENY)).rules, ALWAYS);
  }
});

function withExtension(policy: wire.Authorization): wire.Authorization {
  policy.extensions.push(create(ExtensionSchema, { name: "x" }));
  return policy;
}

function withNumber(field: number, namespace: string): Uint8Array {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).string("p");
  writer.tag(2, WireType.LengthDelimited).string(namespace);
  return writer.tag(field, WireType.Varint).int32(5).finish();
}

test("an unknown action denies everything that the policy covers", () => {
  const { action, rules, unreadable } = decodeAuthorization(withNumber(4, "n"));
  assert.deepEqual({ action, rules }, { action: "deny", rules: ALWAYS });
  assert.deepEqual(unreadable, ["action 5 is unknown"]);
});

test("an unknown scope reaches the policy's namespace, and from the root namespace the mesh", () => {
  assert.equal(decodeAuthorization(withNumber(3, "n")).scope, "namespace");
  assert.equal(decodeAuthorization(withNumber(3, "istio-system")).scope, "global");
  assert.equal(decodeAuthorization(withNumber(3, "n"), { rootNamespace: "n" }).scope, "global");
});

test("a policy without a name, or that is none, is refused", () => {
  assert.throws(() => decodeAuthorization(encoded({ name: "" })), /the policy's name is missing/);
  assert.throws(() => decodeAuthorization(Uint8Array.of(10, 200)), { code: "INVALID_RESOURCE" });
});

test("an IPv4-mapped block is the IPv4 block it stands for; a wider one is unreadable", () => {
  const mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 0];
  const [rule] = read({ sourceIps: [block(mapped, 104)] }).allow;
  const found = rule?.clauses[0]?.matches[0]?.sourceIps[0];
  assert.deepEqual([[...(found?.bytes ?? [])], found?.length], [[10, 0, 0, 0], 8]);
  assert.deepEqual(read({ sourceIps: [block(mapped, 90)] }), { allow: NEVER, deny: ALWAYS });
});

test("an AUDIT policy travels in one that no ztunnel of any version enforces", () => {
  const rules = [{ clauses: [{ matches: [{ ...EMPTY_MATCH, destinationPorts: [80] }] }] }];
  const policy = { name: "p", namespace: "n", scope: "global", action: "audit", rules } as const;
  const bytes = encodeAuthorization({ ...policy, dryRun: false });
  assert.deepEqual(decodeAuthorization(bytes), { ...policy, dryRun: false });
  // What a ztunnel sees that knows no extensions, nor dry runs.
  const seen = fromBinary(wire.AuthorizationSchema, bytes);
  assert.deepEqual([seen.action, seen.dryRun, seen.rules], [DENY, true, []]);
});

test("a new field in a match that would hold admits nobody, whatever its number", () => {
  fc.assert(
    fc.property(fc.integer({ min: 14, max: 100 }), fc.boolean(), (no, deny) => {
      const match = create(wire.MatchSchema, { destinationPorts: [8080] });
      const action = deny ? DENY : ALLOW;
      const admits = () => {
        const policy = decoded({ action, rules: [{ clauses: [{ matches: [match] }] }] });
        return evaluate(connection(), compilePolicies([policy])).allowed;
      };
      assert.equal(admits(), !deny);
      Object.assign(match, { $unknown: [{ ...UNKNOWN_FIELD, no }] });
      assert.equal(admits(), false);
    }),
  );
});
