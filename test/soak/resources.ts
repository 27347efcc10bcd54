/** Memory and descriptors of the mesh's programs over time, and whether they stay as they are. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestCluster } from "#test/support/cluster.ts";
import { NODES } from "./plan.ts";

export interface Sample {
  /** Since the start. */
  readonly seconds: number;
  readonly program: string;
  /** Of the program's: another one has another memory. */
  readonly pid: number;
  readonly rssMb: number;
  readonly descriptors: number;
}

/**
 * What a process takes at the end, and by how much its floor rose. The floor is the lowest figure
 * of a third of the time: what single connections take on top comes and goes.
 */
export interface Growth {
  readonly program: string;
  readonly samples: number;
  readonly rssMb: number;
  readonly rssGrowthMb: number;
  readonly descriptors: number;
  readonly descriptorGrowth: number;
}

const SAMPLE_MS = 1_000;
/**
 * A young process grows until its code and its caches are warm; in a short soak less is left out.
 */
const WARM_UP_SECONDS = 60;
const WARM_UP_SHARE = 0.2;

/** Takes a sample of each program every second, from its making on. */
export class ResourceWatch {
  readonly samples: Sample[] = [];
  readonly #startedAt = performance.now();
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;

  constructor(cluster: TestCluster) {
    this.#running = this.#run(cluster, this.#stopping.signal);
  }

  get elapsedSeconds(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(cluster: TestCluster, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.samples.push(...(await sample(cluster, this.elapsedSeconds)));
      await sleep(SAMPLE_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** A sample of each program that runs just now. */
async function sample(cluster: TestCluster, seconds: number): Promise<Sample[]> {
  const programs = [cluster.istiod, ...NODES.map((node) => cluster.ztunnel(node))];
  const samples: Sample[] = [];
  for (const program of programs) {
    try {
      const [pid, dir] = [await program.pid(), await program.procDir()];
      const status = await readFile(join(dir, "status"), "utf8");
      const [, kilobytes = ""] = /^VmRSS:\s+(\d+) kB/m.exec(status) ?? [];
      const descriptors = (await readdir(join(dir, "fd"))).length;
      const rssMb = Number(kilobytes) / 1024;
      samples.push({ seconds, program: program.name, pid, rssMb, descriptors });
    } catch {
      // It is between two lives: that is part of the churn.
    }
  }
  return samples;
}

/** Growth of each program from `fromSeconds` and a warm-up on, of the process that ran last. */
export function growthOf(samples: readonly Sample[], fromSeconds: number): readonly Growth[] {
  const length = (samples.at(-1)?.seconds ?? fromSeconds) - fromSeconds;
  const warmAt = fromSeconds + Math.min(WARM_UP_SECONDS, length * WARM_UP_SHARE);
  const programs = [...new Set(samples.map(({ program }) => program))].sort();
  return programs.map((program) => {
    const pid = samples.findLast((one) => one.program === program)?.pid;
    const own = samples.filter((one) => one.pid === pid && one.seconds >= warmAt);
    const last = own.at(-1);
    return {
      program,
      samples: own.length,
      rssMb: last?.rssMb ?? Number.NaN,
      rssGrowthMb: floorGrowth(own.map((one) => one.rssMb)),
      descriptors: last?.descriptors ?? Number.NaN,
      descriptorGrowth: floorGrowth(own.map((one) => one.descriptors)),
    };
  });
}

/** The lowest of the last third of the values, less the lowest of the first third. */
export function floorGrowth(values: readonly number[]): number {
  const third = Math.floor(values.length / 3);
  if (third === 0) return 0;
  return Math.min(...values.slice(-third)) - Math.min(...values.slice(0, third));
}
