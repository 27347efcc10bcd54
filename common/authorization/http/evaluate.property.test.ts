import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { L7Authorization, L7Rule } from "#common/model/waypoint/policy.ts";
import { anyL7Policies, anyRequest } from "./arbitraries.ts";
import { authorize, customRules, unenforcedNotes } from "./evaluate.ts";
import { naiveAllowed, naiveMatches } from "./oracle.ts";
import { HttpPolicySet } from "./policy-set.ts";
import { RequestView } from "./request-view.ts";

test("DENY and ALLOW of two places decide as the naive oracle does, and name the first", () => {
  fc.assert(
    fc.property(anyRequest, anyL7Policies, fc.nat(6), (facts, policies, cut) => {
      const sets = [policies.slice(0, cut), policies.slice(cut)].map((list) =>
        HttpPolicySet.compile(list, "http"),
      );
      const verdict = authorize(new RequestView(facts), sets);
      assert.equal(verdict.allowed, naiveAllowed(facts, policies));
      const denying = policies.filter((p) => !p.dryRun && p.action === "deny");
      const [first] = denying
        .filter((policy) => naiveMatches(facts, policy))
        .map(({ key }) => key)
        .sort();
      const told = "by" in verdict ? verdict.by.policy.key : undefined;
      assert.equal(told, first);
    }),
    { numRuns: 5000 },
  );
});

test("CUSTOM, AUDIT and dry runs are told of exactly when the oracle says they match", () => {
  fc.assert(
    fc.property(anyRequest, anyL7Policies, (facts, policies) => {
      const view = new RequestView(facts);
      const sets = [HttpPolicySet.compile(policies, "http")];
      const matching = policies.filter((policy) => naiveMatches(facts, policy));
      const custom = matching.filter((p) => p.action === "custom" && !p.dryRun);
      assert.deepEqual(
        customRules(view, sets).map(({ policy }) => policy.key),
        custom.map(({ key }) => key).sort(),
      );
      const telling = matching.filter((p) => p.action === "audit" || p.dryRun);
      const notes = unenforcedNotes(view, sets, 100).filter((note) => note.includes(" rule "));
      assert.equal(notes.length, telling.length);
      for (const { key } of telling) assert.ok(notes.some((note) => note.includes(key)));
    }),
    { numRuns: 2000 },
  );
});

test("a TCP connection is allowed no more than any request on it would be", () => {
  fc.assert(
    fc.property(anyRequest, anyL7Policies, (facts, policies) => {
      const connection = { ...facts, http: undefined };
      const sets = [HttpPolicySet.compile(policies, "connection")];
      if (!authorize(new RequestView(connection), sets).allowed) return;
      assert.ok(naiveAllowed(facts, policies));
    }),
    { numRuns: 2000 },
  );
});

test("row 65: of 100,000 rules a request looks at few, whatever they ask for", async () => {
  const ask: readonly ((n: number) => Partial<L7Rule>)[] = [
    (n) => ({ from: [{ principals: [`cluster.local/ns/n${n}/sa/x`] }] }),
    (n) => ({ to: [{ methods: ["GET"], paths: [`/api/${n}/*`] }] }),
    (n) => ({ to: [{ paths: [`/t${n}/{*}`], hosts: [`h${n}.example`] }] }),
    (n) => ({ to: [{ hosts: [`*.h${n}.example`] }] }),
    (n) => ({ when: [{ key: "request.headers[x-a]", values: [`v${n}`] }] }),
    (n) => ({ when: [{ key: "request.auth.claims[role]", values: [`r${n}`] }] }),
    (n) => ({ from: [{ ipBlocks: [`172.16.${n & 255}.0/24`] }] }),
  ];
  const policies = Array.from({ length: 10_000 }, (_, p): L7Authorization => {
    const rules = Array.from({ length: 10 }, (__, r) => ask[r % ask.length]?.(p * 10 + r) ?? {});
    const whole = rules.map((rule) => ({ from: [], to: [], when: [], ...rule }));
    return { key: `shop/p${p}`, action: p % 2 ? "allow" : "deny", dryRun: false, rules: whole };
  });
  const slices = { now: () => 0, pause: () => Promise.resolve() };
  const set = await HttpPolicySet.compileInSlices(policies, "http", slices);
  fc.assert(
    fc.property(anyRequest, (facts) => {
      let looked = 0;
      const view = new RequestView(facts);
      const count = (): boolean => ++looked < 0;
      for (const index of [set.deny, set.allow]) index.first(view, count, undefined);
      assert.ok(looked < 50, `${looked} rules`);
    }),
    { numRuns: 50 },
  );
});
