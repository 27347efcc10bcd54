/**
 * Every contender as a plain reverse proxy under the same load, in alternating order, round after
 * round; a ratio is taken within a round, so that a slow minute of the machine slows both sides.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { median } from "../../l4/statistics.ts";
import type { Contender } from "./contenders.ts";
import { type LoadResult, wrk } from "./wrk.ts";

const STARTED_WITHIN_MS = 20_000;
const WARM_UP_SECONDS = 1;
/** Linux's USER_HZ. */
const TICKS_PER_SECOND = 100;

export interface Plan {
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
}

export interface Sample extends LoadResult {
  readonly contender: string;
  readonly round: number;
  /** CPU time of the proxy's process for 1,000 requests. */
  readonly cpuSecondsPer1000: number;
}

export interface Summary {
  readonly contender: string;
  readonly requestsPerSecond: number;
  readonly p99Ms: number;
  readonly cpuSecondsPer1000: number;
  /** Of requests per second, to nginx in the same round: median, least, greatest. */
  readonly ratioToNginx: readonly [number, number, number];
  readonly failures: number;
}

export async function engineBench(
  upstream: Contender,
  contenders: readonly Contender[],
  plan: Plan,
): Promise<readonly Sample[]> {
  const running: ChildProcess[] = [];
  try {
    running.push(await start(upstream));
    const samples: Sample[] = [];
    for (let round = 0; round < plan.rounds; round++) {
      const order = round % 2 === 0 ? contenders : [...contenders].reverse();
      for (const contender of order) {
        const proxy = await start(contender);
        running.push(proxy);
        samples.push({ ...(await measure(contender, proxy, plan)), round });
        await stop(proxy);
      }
    }
    return samples;
  } finally {
    await Promise.all(running.map(stop));
  }
}

async function measure(
  { name, port }: Contender,
  proxy: ChildProcess,
  { seconds, connections }: Plan,
): Promise<Omit<Sample, "round">> {
  await wrk(port, { connections, seconds: WARM_UP_SECONDS });
  const before = cpuSeconds(proxy.pid ?? 0);
  const result = await wrk(port, { connections, seconds });
  const used = cpuSeconds(proxy.pid ?? 0) - before;
  const requests = result.requestsPerSecond * seconds;
  return { contender: name, ...result, cpuSecondsPer1000: (used / requests) * 1_000 };
}

/** Of a process and its children: nginx works in one. */
function cpuSeconds(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  const pids = [String(pid), ...children.trim().split(" ")].filter((each) => each !== "");
  return pids.reduce((sum, each) => {
    const fields = readFileSync(`/proc/${each}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return sum + (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }, 0);
}

async function start({
  command: [file = "", ...args],
  port,
  name,
}: Contender): Promise<ChildProcess> {
  const child = spawn(file, args, { stdio: ["ignore", "ignore", "inherit"] });
  const overdue = performance.now() + STARTED_WITHIN_MS;
  while (!(await isListening(port))) {
    if (child.exitCode !== null || performance.now() > overdue) {
      throw new Error(`${name} does not listen on ${port}`);
    }
    await sleep(50);
  }
  return child;
}

async function isListening(port: number): Promise<boolean> {
  const socket = net.connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** By a signal that it can see: an nginx that is killed leaves its worker, with the port. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  await gone;
}

export function summarise(samples: readonly Sample[]): readonly Summary[] {
  const names = [...new Set(samples.map(({ contender }) => contender))];
  const nginx = samples.filter(({ contender }) => contender === "nginx");
  return names.map((name) => {
    const own = samples.filter(({ contender }) => contender === name);
    const ratios = own.map(({ round, requestsPerSecond }) => {
      const other = nginx.find((sample) => sample.round === round);
      return requestsPerSecond / (other?.requestsPerSecond ?? Number.NaN);
    });
    return {
      contender: name,
      requestsPerSecond: median(own.map((sample) => sample.requestsPerSecond)),
      p99Ms: median(own.map((sample) => sample.p99Ms)),
      cpuSecondsPer1000: median(own.map((sample) => sample.cpuSecondsPer1000)),
      ratioToNginx: [median(ratios), Math.min(...ratios), Math.max(...ratios)],
      failures: own.reduce((sum, { failures }) => sum + failures, 0),
    };
  });
}
