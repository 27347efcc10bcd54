/**
 * A soak: traffic at a steady rate while everything around it changes. In the first half programs
 * of the mesh end and are replaced, too, until each has been; in the second half they stay, so that
 * their memory and descriptors can be watched.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { TestCluster } from "#test/support/cluster.ts";
import { configDump, startMesh } from "#test/support/ztunnel-view.ts";
import { Churn, type ChurnCounts } from "./churn.ts";
import type { Load } from "./load.ts";
import { NODES, OBJECTS, ZTUNNEL_ENV } from "./plan.ts";
import { type Growth, growthOf, ResourceWatch, type Sample } from "./resources.ts";
import { SoakTraffic } from "./traffic.ts";

export interface SoakOptions {
  readonly seconds: number;
  /** Calls of all sorts together. */
  readonly perSecond: number;
}

export interface LoadResult {
  readonly name: string;
  readonly calls: number;
  readonly good: number;
  /** Under way while a policy about them changed. */
  readonly excused: number;
  readonly failed: number;
  readonly failures: Readonly<Record<string, number>>;
}

export interface SoakResult {
  readonly seconds: number;
  readonly loads: readonly LoadResult[];
  readonly churn: ChurnCounts;
  /** Certificates seen beyond the first of each identity on each node. */
  readonly renewals: number;
  /** Over the second half. */
  readonly growth: readonly Growth[];
  readonly samples: readonly Sample[];
}

/** A round at most so often: the traffic is what matters. */
const ROUND_MS = 4_000;

/** `report` is told now and then how it goes. */
export async function runSoak(
  { seconds, perSecond }: SoakOptions,
  report: (line: string) => void,
): Promise<SoakResult> {
  await using cluster = await startMesh({ objects: OBJECTS, ztunnel: { env: ZTUNNEL_ENV } });
  await using traffic = await SoakTraffic.start(cluster, perSecond);
  const watch = new ResourceWatch(cluster);
  const elapsed = () => watch.elapsedSeconds;
  const churn = new Churn(cluster, traffic);
  const certificates = new Certificates();
  const rounds = async (programs: boolean, goOn: () => boolean): Promise<void> => {
    while (goOn()) {
      const next = sleep(ROUND_MS);
      await churn.round(programs);
      await certificates.look(cluster);
      report(`${elapsed().toFixed(0)} s: ${describe(traffic)}, ${churn.counts.pods} rounds`);
      await next;
    }
  };
  let settledAt = 0;
  try {
    await rounds(true, () => elapsed() < seconds / 2 || !churn.complete);
    settledAt = elapsed();
    await rounds(false, () => elapsed() < settledAt + seconds / 2);
  } finally {
    await watch.stop();
    await traffic.stop();
  }
  return {
    seconds: elapsed(),
    loads: traffic.loads.map(resultOf),
    churn: churn.counts,
    renewals: certificates.renewals,
    growth: growthOf(watch.samples, settledAt),
    samples: watch.samples,
  };
}

function resultOf({ name, calls, good, excused, failed, failures }: Load): LoadResult {
  return { name, calls, good, excused, failed, failures };
}

function describe({ loads }: SoakTraffic): string {
  const failed = loads.reduce((sum, load) => sum + load.failed, 0);
  const calls = loads.reduce((sum, load) => sum + load.calls, 0);
  return `${calls} calls, ${failed} failed`;
}

class Certificates {
  readonly #serials = new Set<string>();
  readonly #holders = new Set<string>();

  get renewals(): number {
    return this.#serials.size - this.#holders.size;
  }

  async look(cluster: TestCluster): Promise<void> {
    for (const node of NODES) {
      for (const { identity, certChain } of (await configDump(cluster, node)).certificates) {
        const [leaf] = certChain;
        if (leaf === undefined) continue;
        this.#serials.add(leaf.serialNumber);
        this.#holders.add(`${node} ${identity}`);
      }
    }
  }
}
