import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { anyL7Policies, anyRequest } from "./arbitraries.ts";
import { authorize, customRules, unenforcedNotes } from "./evaluate.ts";
import { naiveAllowed, naiveMatches } from "./oracle.ts";
import { HttpPolicySet } from "./policy-set.ts";
import { RequestView } from "./request-view.ts";

test("DENY and ALLOW of two places decide as the naive oracle does, and name the first", () => {
  fc.assert(
    fc.property(anyRequest, anyL7Policies, fc.nat(6), (facts, policies, cut) => {
      const sets = [policies.slice(0, cut), policies.slice(cut)].map(
        (list) => new HttpPolicySet(list, "http"),
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
      const sets = [new HttpPolicySet(policies, "http")];
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
      const sets = [new HttpPolicySet(policies, "connection")];
      if (!authorize(new RequestView(connection), sets).allowed) return;
      assert.ok(naiveAllowed(facts, policies));
    }),
    { numRuns: 2000 },
  );
});
