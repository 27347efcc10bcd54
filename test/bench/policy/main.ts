/**
 * `npm run bench:policy`: what policies cost a data worker. Established connections judged anew
 * after a change, a change taken in, and a new connection checked, under very many policies. Times
 * are CPU of the thread, but for totals and what is short. docs/decisions/0004-policy-changes.md
 * holds a run of it.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate as turn } from "node:timers/promises";
import { evaluate } from "#common/authorization/evaluate.ts";
import { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { splitUpdate } from "#common/mesh-state/state-update.ts";
import { pod, policy, update } from "#common/mesh-state/test-records.ts";
import type { Authorization } from "#common/model/authorization.ts";
import type { Workload } from "#common/model/workload.ts";
import { admit } from "#ztunnel/proxy/admit.ts";
import { Reauthorizer } from "#ztunnel/proxy/reauthorizer.ts";
import { call, fromAccount, Standing } from "#ztunnel/proxy/standing-fixtures.ts";
import { StateWaiter } from "#ztunnel/proxy/state-waiter.ts";

const CONNECTIONS = 10_000;
const WORKLOADS = 100;
const ROUNDS = 5;

const workloads: readonly Workload[] = Array.from({ length: WORKLOADS }, (_, i) =>
  pod(`db${i}`, [`10.0.${i >> 8}.${i & 255}`]),
);

/** `count` DENY policies of the namespace with `rules` rules each, none of which matches. */
function policies(count: number, rules: number): readonly Authorization[] {
  return Array.from({ length: count }, (_, i) =>
    policy(`p${i}`, {
      action: "deny",
      rules: Array.from({ length: rules }, (_, j) => fromAccount(`a${i}-${j}`)).flat(),
    }),
  );
}

/** Applies the update as a worker does, piece by piece; returns the longest piece. */
function applyInPieces(state: ProxyState, list: readonly Authorization[]): number {
  let longestMs = 0;
  for (const piece of splitUpdate(update({ policies: list }), 512)) {
    longestMs = Math.max(
      longestMs,
      timed(() => state.apply(piece)),
    );
  }
  return longestMs;
}

/** Milliseconds by the clock: for what is too short for the CPU's accounts. */
function clocked(action: () => void): number {
  const start = performance.now();
  action();
  return performance.now() - start;
}

/**
 * Milliseconds of this thread's CPU: on a machine that others use, too, the clock tells of them.
 */
function timed(action: () => void): number {
  const start = process.threadCpuUsage();
  action();
  const { user, system } = process.threadCpuUsage(start);
  return (user + system) / 1000;
}

interface Pass {
  readonly totalMs: number;
  readonly slices: number;
  readonly longestSliceMs: number;
  readonly loopDelayMs: number;
}

/** One change under standing connections, of which `cutShare` are denied by it. */
async function reauthorize(count: number, cutShare: number): Promise<Pass> {
  const state = new ProxyState({ network: "" });
  state.apply(update({ workloads }));
  applyInPieces(state, policies(count, 1));
  let slices = 0;
  let longestSliceMs = 0;
  let pending = 0;
  const schedule = (slice: () => void): void => {
    pending++;
    setImmediate(() => {
      longestSliceMs = Math.max(longestSliceMs, timed(slice));
      slices++;
      pending--;
    });
  };
  const reauthorizer = new Reauthorizer({ state, schedule });
  const waiter = new StateWaiter(state);
  for (let i = 0; i < CONNECTIONS; i++) {
    const account = i < CONNECTIONS * cutShare ? "denied" : "free";
    const permit = await admit(waiter, workloads[i % WORKLOADS] as Workload, call({ account }));
    if (!("ok" in permit)) new Standing(reauthorizer, permit);
  }
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const start = performance.now();
  const change = policy("change", { action: "deny", rules: fromAccount("denied") });
  reauthorizer.stateChanged(state.apply(update({ policies: [change] })));
  while (pending > 0) await turn();
  const totalMs = performance.now() - start;
  delay.disable();
  return { totalMs, slices, longestSliceMs, loopDelayMs: delay.max / 1e6 };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

async function benchReauthorize(): Promise<void> {
  for (const count of [1, 1_000, 10_000]) {
    for (const share of [0, 1]) {
      const passes: Pass[] = [];
      for (let i = 0; i < ROUNDS; i++) passes.push(await reauthorize(count, share));
      const of = (field: keyof Pass): string => median(passes.map((p) => p[field])).toFixed(1);
      console.log(
        `${CONNECTIONS} connections, ${count} policies, ${share * 100} % cut: ` +
          `${of("totalMs")} ms in ${of("slices")} slices, longest ${of("longestSliceMs")} ms, ` +
          `loop delay ${of("loopDelayMs")} ms`,
      );
    }
  }
}

function benchChanges(): void {
  const state = new ProxyState({ network: "" });
  state.apply(update({ workloads }));
  const list = policies(10_000, 10);
  let longestMs = 0;
  const totalMs = timed(() => {
    longestMs = applyInPieces(state, list);
  });
  console.log(
    `10000 policies of 10 rules taken in: ${totalMs.toFixed(0)} ms, ` +
      `longest piece ${longestMs.toFixed(1)} ms`,
  );
  const change = policies(1, 10);
  const times = Array.from({ length: 200 }, () => {
    const fresh = change.map((each) => ({ ...each }));
    return clocked(() => state.apply(update({ policies: fresh })));
  });
  console.log(`one of them changed: ${(median(times) * 1000).toFixed(0)} us`);
  const [workload] = workloads;
  if (workload === undefined) return;
  const { compiled } = state.policiesFor(workload);
  const checks = Array.from({ length: 2_000 }, () =>
    clocked(() => void evaluate(call({ account: "free" }), compiled)),
  ).sort((a, b) => a - b);
  const at = (share: number): string =>
    ((checks[Math.floor(2_000 * share)] ?? 0) * 1000).toFixed(1);
  console.log(`one connection checked: p50 ${at(0.5)} us, p99 ${at(0.99)} us`);
}

await benchReauthorize();
benchChanges();
