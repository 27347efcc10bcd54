/**
 * Established connections under policies that change: who is cut, when, and in how large slices.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { pod, policy, update } from "#common/mesh-state/test-records.ts";
import type { Authorization } from "#common/model/authorization.ts";
import { REAUTHORIZE_SLICE, REAUTHORIZE_SLICE_MS } from "../limits.ts";
import { Reauthorizer } from "./reauthorizer.ts";
import { call, fromAccount, onPort, permitFor, Standing } from "./standing-fixtures.ts";

const DENY_80 = policy("no-80", { action: "deny", rules: onPort(80) });
const DB = pod("db", ["10.0.0.1"]);

/** A state and its reauthorizer, whose slices run when the test says so. */
class Bench {
  readonly state = new ProxyState({ network: "" });
  readonly slices: (() => void)[] = [];
  readonly reauthorizer: Reauthorizer;
  nowMs = 0;

  constructor(fields: Parameters<typeof update>[0] = { workloads: [DB] }) {
    const schedule = (slice: () => void): void => void this.slices.push(slice);
    this.reauthorizer = new Reauthorizer({ state: this.state, schedule, now: () => this.nowMs });
    this.state.apply(update(fields));
  }

  change(fields: Parameters<typeof update>[0]): void {
    this.reauthorizer.stateChanged(this.state.apply(update(fields)));
  }

  /** Runs slices until none is left; returns how many there were. */
  settle(): number {
    let count = 0;
    for (; this.slices.length > 0; count++) this.slices.shift()?.();
    return count;
  }

  async open(fields: Parameters<typeof call>[0] = {}, workload = DB): Promise<Standing> {
    return new Standing(this.reauthorizer, await permitFor(this.state, workload, call(fields)));
  }
}

const stands = ({ why }: Standing): boolean => why === undefined;

test("D4 20: a new DENY cuts what it denies, says which policy did it, and leaves the rest", async () => {
  const bench = new Bench();
  const denied = await bench.open();
  const other = await bench.open({ port: 81 });
  bench.change({ policies: [DENY_80] });
  assert.equal(denied.why, undefined, "nothing is judged within the change itself");
  bench.settle();
  assert.deepEqual(denied.why, {
    ok: false,
    reason: "policy-changed",
    message: "connection closed due to policy change: explicitly denied by: shop/no-80",
    policy: "shop/no-80",
    retriable: false,
  });
  assert.equal(other.why, undefined);
});

test("a change elsewhere, or one that comes to the same policies, judges nobody", async () => {
  const bench = new Bench();
  await bench.open();
  bench.change({ policies: [policy("there", { ...DENY_80, namespace: "other" })] });
  bench.change({ workloads: [pod("db", ["10.0.0.1"], { status: "unhealthy" })] });
  bench.change({ workloads: [pod("x", ["10.0.0.9"])] });
  assert.equal(bench.slices.length, 0);
});

test("a workload that comes under another policy by its record has its connections judged", async () => {
  const named = policy("named", { action: "deny", rules: onPort(80), scope: "workload-selector" });
  const bench = new Bench({ workloads: [DB], policies: [named] });
  const connection = await bench.open();
  bench.change({ workloads: [pod("db", ["10.0.0.1"], { authorizationPolicies: ["shop/named"] })] });
  bench.settle();
  assert.equal(connection.why?.policy, "shop/named");
});

test("policies that change while a connection is set up are not missed", async () => {
  const bench = new Bench();
  const permit = await permitFor(bench.state, DB);
  bench.change({ policies: [DENY_80] });
  bench.settle();
  const late = new Standing(bench.reauthorizer, permit);
  assert.equal(late.why?.policy, "shop/no-80");
});

test("many changes in quick succession come to one pass, under the newest policies", async () => {
  const bench = new Bench();
  const connection = await bench.open();
  for (let i = 0; i < 50; i++) {
    bench.change({ policies: [policy("p", { action: "deny", rules: onPort(i % 2 ? 80 : 81) })] });
  }
  bench.change({ policies: [policy("p", { action: "deny", rules: onPort(82) })] });
  assert.equal(bench.settle(), 1);
  assert.equal(connection.why, undefined, "it was never denied when it was looked at");
});

test("policies that come back do not hide those who came in between", async () => {
  const labelled = pod("db", ["10.0.0.1"], { authorizationPolicies: ["shop/free"] });
  const onlyFront = policy("only-front", { rules: fromAccount("front") });
  const free = policy("free", { scope: "workload-selector" });
  const bench = new Bench({ workloads: [DB], policies: [onlyFront, free] });
  const old = await bench.open();
  const other = await bench.open();
  bench.change({ workloads: [labelled] });
  const between = await bench.open({ account: "batch" }, labelled);
  bench.change({ workloads: [DB] });
  bench.settle();
  assert.equal(between.why?.reason, "policy-changed");
  assert.deepEqual([old.why, other.why], [undefined, undefined]);
});

test("while a named policy is missing, a known DENY cuts and a missing ALLOW does not", async () => {
  const front = policy("front", { rules: fromAccount("front"), scope: "workload-selector" });
  const names = (...keys: string[]) => pod("db", ["10.0.0.1"], { authorizationPolicies: keys });
  const bench = new Bench({ workloads: [names("shop/front")], policies: [front] });
  const connection = await bench.open({}, names("shop/front"));
  bench.change({ removedPolicies: ["shop/front"], policies: [policy("none", { rules: [] })] });
  bench.settle();
  assert.ok(stands(connection), "the policy that allowed it may be on its way");
  bench.change({ policies: [DENY_80] });
  bench.settle();
  assert.equal(connection.why?.policy, "shop/no-80");
});

test("a missing policy that stops being named lets the others decide", async () => {
  const front = policy("front", { rules: fromAccount("front"), scope: "workload-selector" });
  const names = pod("db", ["10.0.0.1"], { authorizationPolicies: ["shop/front"] });
  const bench = new Bench({ workloads: [names], policies: [front, policy("none", { rules: [] })] });
  const connection = await bench.open({}, names);
  bench.change({ removedPolicies: ["shop/front"] });
  bench.settle();
  assert.ok(stands(connection));
  bench.change({ workloads: [DB] });
  bench.settle();
  assert.equal(connection.why?.reason, "policy-changed");
});

test("a workload whose record goes keeps its connections: its pod's end ends them", async () => {
  const bench = new Bench();
  const connection = await bench.open();
  bench.change({ removed: [DB.uid], policies: [DENY_80] });
  bench.settle();
  assert.equal(connection.why, undefined);
});

/** Of each namespace-wide policy one rule; the last one is the caller's. */
function manyPolicies(count: number): Authorization[] {
  return Array.from({ length: count }, (_, i) =>
    policy(`p${i}`, { action: "deny", rules: fromAccount(`account-${i}`) }),
  );
}

test("10,000 connections under 1,000 policies are judged in slices that are all bounded", async () => {
  const workloads = Array.from({ length: 20 }, (_, i) => pod(`db${i}`, [`10.0.0.${i + 1}`]));
  const bench = new Bench({ workloads, policies: manyPolicies(1_000) });
  const standing: Standing[] = [];
  for (let i = 0; i < 10_000; i++) {
    const workload = workloads[i % workloads.length] ?? DB;
    standing.push(await bench.open({ account: `front-${i % 2}` }, workload));
  }
  bench.change({ policies: [policy("p0", { action: "deny", rules: fromAccount("front-1") })] });
  let slices = 0;
  for (let before = 0; bench.slices.length > 0; slices++) {
    assert.equal(bench.slices.length, 1);
    bench.slices.shift()?.();
    const cut = standing.filter(({ why }) => why !== undefined).length;
    assert.ok(cut - before <= REAUTHORIZE_SLICE, `${cut - before} were cut in one slice`);
    before = cut;
  }
  assert.ok(slices >= 10_000 / REAUTHORIZE_SLICE);
  const wrong = standing.filter(({ why }, i) => (why !== undefined) !== (i % 2 === 1));
  assert.deepEqual(wrong, []);
});

test("a slice ends early when its time is up, and the next one goes on from there", async () => {
  const bench = new Bench();
  const standing: Standing[] = [];
  for (let i = 0; i < 10; i++) {
    const connection = await bench.open();
    const { cut } = connection;
    Object.assign(connection, {
      cut: (why: Parameters<typeof cut>[0]) => {
        bench.nowMs += REAUTHORIZE_SLICE_MS / 2;
        cut(why);
      },
    });
    standing.push(connection);
  }
  bench.change({ policies: [DENY_80] });
  assert.equal(bench.settle(), 5, "two in each slice");
  assert.ok(standing.every(({ why }) => why !== undefined));
});

test("changes that never stop do not keep anybody from being judged", async () => {
  const bench = new Bench();
  for (let i = 0; i < REAUTHORIZE_SLICE * 4; i++) await bench.open({ port: 81 });
  const last = await bench.open();
  bench.change({ policies: [DENY_80] });
  for (let i = 0; i < 5 && last.why === undefined; i++) {
    bench.slices.shift()?.();
    bench.change({ policies: [policy("churn", { action: "deny", rules: onPort(1_000 + i) })] });
  }
  assert.equal(last.why?.policy, "shop/no-80");
});
