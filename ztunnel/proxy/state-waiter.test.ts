/**
 * Connections that wait for policies, or for their pod's record: bounded in time, number and cost.
 */
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { pod, policy, update } from "#common/mesh-state/test-records.ts";
import { POLICY_WAIT_MS, STATE_CHECKS_PER_SLICE, STATE_WAITERS } from "../limits.ts";
import { admit } from "./admit.ts";
import { call, onPort } from "./standing-fixtures.ts";
import { StateWaiter } from "./state-waiter.ts";

const NAMES = pod("db", ["10.0.0.1"], { authorizationPolicies: ["shop/late"] });
const LATE = policy("late", { scope: "workload-selector" });

function waiting() {
  const state = new ProxyState({ network: "" });
  state.apply(update({ workloads: [NAMES] }));
  const slices: (() => void)[] = [];
  const waiter = new StateWaiter(state, (slice) => void slices.push(slice));
  return { state, waiter, slices };
}

/** Lets promises settle that wait for nothing else. */
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

test("a connection waits for a policy that its workload names, and is judged by it", async () => {
  const { state, waiter } = waiting();
  const outcome = admit(waiter, NAMES, call());
  state.apply(update({ policies: [{ ...LATE, action: "deny" }] }));
  waiter.stateChanged();
  const refused = await outcome;
  assert.ok("ok" in refused);
  assert.equal(refused.policy, "shop/late");
});

test("who waits in vain is refused in time, and told which policies are missing", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const { waiter } = waiting();
    const outcome = admit(waiter, NAMES, call());
    mock.timers.tick(POLICY_WAIT_MS);
    const refused = await outcome;
    assert.ok("ok" in refused);
    assert.equal(refused.reason, "policies-not-ready");
    assert.match(refused.message, /have not arrived or cannot be read: shop\/late$/);
  } finally {
    mock.timers.reset();
  }
});

test("what a known DENY refuses does not wait for the others", async () => {
  const { state, waiter } = waiting();
  state.apply(update({ policies: [policy("no-80", { action: "deny", rules: onPort(80) })] }));
  const refused = await admit(waiter, NAMES, call());
  assert.ok("ok" in refused);
  assert.equal(refused.reason, "explicit-deny");
});

test("a policy that cannot be read holds the workloads of its namespace until it is gone", async () => {
  const plain = pod("plain", ["10.0.0.2"]);
  const elsewhere = pod("far", ["10.0.0.3"], { namespace: "other" });
  for (const [key, held] of [
    ["shop/broken", false],
    ["istio-system/broken", true],
  ] as const) {
    const { state, waiter } = waiting();
    state.apply({ ...update({ workloads: [plain, elsewhere] }), unreadablePolicies: [key] });
    assert.deepEqual(waiter.policiesNow(plain).missing, [key]);
    assert.deepEqual(waiter.policiesNow(elsewhere).missing, held ? [key] : []);
    const outcome = admit(waiter, plain, call());
    state.apply(update({ removedPolicies: [key] }));
    waiter.stateChanged();
    assert.ok(!("ok" in (await outcome)));
  }
});

test("an unreadable policy leaves its last good version in force, and a good one ends the hold", () => {
  const plain = pod("plain", ["10.0.0.2"]);
  const { state, waiter } = waiting();
  state.apply(update({ policies: [policy("p")] }));
  state.apply({ ...update({}), unreadablePolicies: ["shop/p", "shop/q"] });
  assert.deepEqual(waiter.policiesNow(plain).missing, ["shop/q"]);
  assert.equal(waiter.policiesNow(plain).compiled.policies.length, 1);
  assert.deepEqual([...state.unreadablePolicies()], ["shop/q"]);
  state.apply(update({ policies: [policy("q")] }));
  assert.deepEqual(waiter.policiesNow(plain).missing, []);
  assert.equal(waiter.policiesNow(plain).compiled.policies.length, 2);
});

test("a crowd that waited is let go in slices, also when the state goes on changing", async () => {
  const { state, waiter, slices } = waiting();
  let done = 0;
  const crowd = STATE_CHECKS_PER_SLICE * 3;
  for (let i = 0; i < crowd; i++) void admit(waiter, NAMES, call()).then(() => done++);
  await turn();
  state.apply(update({ policies: [LATE] }));
  waiter.stateChanged();
  await turn();
  assert.equal(done, STATE_CHECKS_PER_SLICE);
  for (let i = 1; i < 3; i++) {
    waiter.stateChanged();
    slices.shift()?.();
    await turn();
    assert.equal(done, STATE_CHECKS_PER_SLICE * (i + 1));
  }
  assert.equal(done, crowd);
});

test("a change during a pass is looked at by those who were asked before it", async () => {
  const { state, waiter, slices } = waiting();
  const outcomes = Array.from({ length: STATE_CHECKS_PER_SLICE + 1 }, () =>
    admit(waiter, NAMES, call()),
  );
  await turn();
  waiter.stateChanged();
  state.apply(update({ policies: [LATE] }));
  waiter.stateChanged();
  while (slices.length > 0) slices.shift()?.();
  const permits = await Promise.all(outcomes);
  assert.ok(permits.every((permit) => !("ok" in permit)));
});

test("beyond the bound nobody waits: further connections are refused at once", async () => {
  const { state, waiter, slices } = waiting();
  const crowd = Array.from({ length: STATE_WAITERS }, () => admit(waiter, NAMES, call()));
  await turn();
  const refused = await admit(waiter, NAMES, call());
  assert.ok("ok" in refused);
  assert.equal(refused.reason, "policies-not-ready");
  state.apply(update({ policies: [LATE] }));
  waiter.stateChanged();
  while (slices.length > 0) slices.shift()?.();
  assert.ok((await Promise.all(crowd)).every((permit) => !("ok" in permit)));
});

test("dry runs and AUDIT are reported with a permit and with a refusal, and decide neither", async () => {
  const plain = pod("plain", ["10.0.0.2"]);
  const { state, waiter } = waiting();
  const everything = [{ clauses: [] }];
  state.apply(
    update({
      policies: [
        policy("dry", { action: "deny", dryRun: true, rules: onPort(80) }),
        policy("seen", { action: "audit", rules: everything }),
        policy("no-81", { action: "deny", rules: onPort(81) }),
      ],
    }),
  );
  const permit = await admit(waiter, plain, call());
  assert.ok(!("ok" in permit));
  const matched = [{ policy: "shop/dry", action: "deny" }];
  assert.deepEqual(permit.report, { dryRun: { allowed: false, matched }, audited: ["shop/seen"] });
  const refused = await admit(waiter, plain, call({ port: 81 }));
  assert.ok("ok" in refused);
  assert.equal(refused.policy, "shop/no-81");
  const report = { dryRun: { allowed: false, matched: [] }, audited: ["shop/seen"] };
  assert.deepEqual(refused.report, report);
});
