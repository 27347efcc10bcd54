/** Runs the rounds: each protocol on each case, at the fixed rate and flat out, in turns. */
import { describeError } from "#common/runtime/errors.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import { cpuSeconds, rssMb } from "../l4/process-usage.ts";
import { type Case, hasWaypoint, type Metric, type Protocol } from "./cases.ts";
import { type LoadPlan, runAtRate, runFlatOut } from "./load.ts";
import type { BenchOptions } from "./options.ts";
import { untilInForce } from "./path-check.ts";
import { NODES, type Target, targetOf, waypointProcDir } from "./topology.ts";

/** No round begins that would probably end after this: a bench must fit into people's patience. */
const TIME_LIMIT_MS = 20 * 60_000;
const WARM_UP_SECONDS = 1;

export interface Sample {
  readonly round: number;
  readonly case: Case;
  readonly protocol: Protocol;
  readonly values: Readonly<Partial<Record<Metric, number>>>;
  /** Why there are no values. */
  readonly failure?: string;
}

/** `say` gets a line of progress at a time. */
export async function runBench(
  cluster: TestCluster,
  options: BenchOptions,
  say: (line: string) => void,
): Promise<readonly Sample[]> {
  const samples: Sample[] = [];
  const started = performance.now();
  for (let round = 0; round < options.rounds; round++) {
    const spent = performance.now() - started;
    if (spent + spent / Math.max(1, round) > TIME_LIMIT_MS) {
      say(`round ${round + 1} and later are left out: they would take too long`);
      break;
    }
    for (const protocol of options.protocols) {
      const { cases } = options;
      for (const name of round % 2 === 0 ? cases : cases.toReversed()) {
        const sample = await measure(cluster, name, protocol, options);
        samples.push({ round, case: name, protocol, ...sample });
        say(`round ${round + 1}/${options.rounds} ${protocol} ${name}: ${describe(sample)}`);
      }
    }
  }
  return samples;
}

async function measure(
  cluster: TestCluster,
  name: Case,
  protocol: Protocol,
  plan: LoadPlan,
): Promise<Pick<Sample, "values" | "failure">> {
  try {
    const target = await targetOf(name);
    await untilInForce(cluster, name, protocol, target);
    const programs = await programsOf(cluster, name);
    await runFlatOut(cluster, target, protocol, WARM_UP_SECONDS);
    const atRate = await measureAtRate(cluster, programs, target, protocol, plan);
    const flatOut = await measureFlatOut(cluster, programs, target, protocol, plan);
    return { values: { ...atRate, ...flatOut } };
  } catch (error) {
    return { values: {}, failure: describeError(error) };
  }
}

/** Directories in /proc. */
interface Programs {
  readonly ztunnels: readonly string[];
  readonly waypoint: string | undefined;
}

async function programsOf(cluster: TestCluster, name: Case): Promise<Programs> {
  if (name === "direct") return { ztunnels: [], waypoint: undefined };
  const waypoint = hasWaypoint(name) ? await waypointProcDir(cluster, name) : undefined;
  const ztunnels = await Promise.all(NODES.map((node) => cluster.ztunnel(node).procDir()));
  return { ztunnels, waypoint };
}

type Values = Partial<Record<Metric, number>>;

async function measureAtRate(
  cluster: TestCluster,
  programs: Programs,
  target: Target,
  protocol: Protocol,
  plan: LoadPlan,
): Promise<Values> {
  const used = startMeter(programs);
  const { requests, p50Ms, p99Ms } = await runAtRate(cluster, target, protocol, plan);
  const { waypoint, mesh } = used(requests);
  return {
    p50_ms: p50Ms,
    p99_ms: p99Ms,
    ...(waypoint !== undefined && { waypoint_cpu_s_per_1000: waypoint }),
    ...(mesh !== undefined && { mesh_cpu_s_per_1000: mesh }),
    ...(programs.waypoint !== undefined && { waypoint_rss_mb: rssMb(programs.waypoint) }),
  };
}

async function measureFlatOut(
  cluster: TestCluster,
  programs: Programs,
  target: Target,
  protocol: Protocol,
  plan: LoadPlan,
): Promise<Values> {
  const used = startMeter(programs);
  const load = await runFlatOut(cluster, target, protocol, plan.seconds);
  const { waypoint, mesh } = used(load.requests);
  return {
    max_per_s: load.requestsPerSecond,
    ...(waypoint !== undefined && { max_waypoint_cpu_s_per_1000: waypoint }),
    ...(mesh !== undefined && { max_mesh_cpu_s_per_1000: mesh }),
  };
}

/** CPU seconds for 1,000 requests; undefined of programs that the case does not have. */
interface Usage {
  readonly waypoint: number | undefined;
  readonly mesh: number | undefined;
}

function startMeter({ waypoint, ztunnels }: Programs): (requests: number) => Usage {
  const ofWaypoint = waypoint === undefined ? [] : [waypoint];
  const all = [...ofWaypoint, ...ztunnels];
  const now = (dirs: readonly string[]) => dirs.reduce((sum, dir) => sum + cpuSeconds(dir), 0);
  const before = { waypoint: now(ofWaypoint), mesh: now(all) };
  return (requests) => {
    const per1000 = (dirs: readonly string[], start: number) =>
      dirs.length === 0 ? undefined : ((now(dirs) - start) / requests) * 1_000;
    return { waypoint: per1000(ofWaypoint, before.waypoint), mesh: per1000(all, before.mesh) };
  };
}

function describe({ values, failure }: Pick<Sample, "values" | "failure">): string {
  if (failure !== undefined) return `failed: ${failure}`;
  const words = Object.entries(values).map(([metric, value]) => {
    return `${metric} ${value.toPrecision(3)}`;
  });
  return words.join(", ");
}
