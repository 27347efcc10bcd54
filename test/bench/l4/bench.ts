/**
 * Runs all rounds: fresh proxies for each step, each load on each placement, values into samples.
 */
import { describeError } from "#common/runtime/errors.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import { type Contender, DIRECT } from "./contender.ts";
import {
  METRICS,
  type Metric,
  metricsOf,
  type Phase,
  type Placement,
  phasesOf,
} from "./metrics.ts";
import { untilMode } from "./mode-check.ts";
import type { BenchOptions } from "./options.ts";
import { OwnZtunnels } from "./own-ztunnels.ts";
import { PeerZtunnels } from "./peer-ztunnels.ts";
import {
  heldMemory,
  idleMemory,
  type Measured,
  type PhaseContext,
  runPhase,
  warmUp,
} from "./phases.ts";
import { planRound, type Step } from "./plan.ts";
import { type Cell, type ContenderName, Samples } from "./samples.ts";
import { routeOf } from "./topology.ts";

/** No round begins that would probably end after this: a bench must fit into people's patience. */
const TIME_LIMIT_MS = 14 * 60_000;

/** `say` gets a line of progress at a time. */
export async function runBench(
  cluster: TestCluster,
  options: BenchOptions,
  say: (line: string) => void,
): Promise<Samples> {
  const bench = new Bench(cluster, options, say);
  await bench.run();
  return bench.samples;
}

class Bench {
  readonly samples = new Samples();
  readonly #cluster: TestCluster;
  readonly #options: BenchOptions;
  readonly #say: (line: string) => void;
  readonly #ours: OwnZtunnels;
  readonly #contenders: ReadonlyMap<ContenderName, Contender>;
  #prefix = "";

  constructor(cluster: TestCluster, options: BenchOptions, say: (line: string) => void) {
    this.#cluster = cluster;
    this.#options = options;
    this.#say = say;
    this.#ours = new OwnZtunnels(cluster);
    const peer = options.peer === undefined ? [] : [new PeerZtunnels(cluster, options.peer)];
    this.#contenders = new Map([DIRECT, this.#ours, ...peer].map((one) => [one.name, one]));
  }

  async run(): Promise<void> {
    const { rounds, modes, peer } = this.#options;
    await this.#ours.prepare();
    const started = performance.now();
    let before = started;
    for (let round = 0; round < rounds; round++) {
      const now = performance.now();
      if (now - started + (now - before) > TIME_LIMIT_MS) {
        this.#say(`round ${round + 1} and later are left out: they would take too long`);
        return;
      }
      before = now;
      for (const step of planRound(modes, peer !== undefined, round)) {
        this.#prefix = `round ${round + 1}/${rounds} ${step.contender} ${step.mode}`;
        // Memory does not drift with the machine's load: once is enough.
        if (round === 0) await this.#measureMemory(step);
        await this.#measureTraffic(step);
      }
    }
  }

  async #measureTraffic(step: Step): Promise<void> {
    const { metrics, placements } = this.#options;
    const phases = phasesOf(step.mode, metrics).filter((phase) => phase !== "memory");
    if (phases.length === 0) return;
    await this.#withProxies(step, phases, placements, async (contender) => {
      for (const placement of placements) {
        await this.#attempt(step, placement, phases, async () => {
          const context = await this.#context(contender, step, placement);
          await warmUp(context);
          for (const phase of phases) {
            await this.#attempt(step, placement, [phase], () => runPhase(phase, context));
          }
          return {};
        });
      }
    });
  }

  /** Each placement has fresh proxies of its own. */
  async #measureMemory(step: Step): Promise<void> {
    const { metrics, placements } = this.#options;
    if (!phasesOf(step.mode, metrics).includes("memory")) return;
    const wanted = new Set(metrics);
    for (const placement of placements) {
      await this.#withProxies(step, ["memory"], [placement], async (contender) => {
        const measure = (metric: Metric, value: (context: PhaseContext) => Promise<number>) =>
          this.#attempt(step, placement, [metric], async () => {
            const context = await this.#context(contender, step, placement);
            return { [metric]: await value(context) };
          });
        if (wanted.has("rss_idle_mb")) await measure("rss_idle_mb", idleMemory);
        for (const [metric, connections] of HELD) {
          if (wanted.has(metric))
            await measure(metric, (context) => heldMemory(context, connections));
        }
      });
    }
  }

  async #withProxies(
    step: Step,
    phases: readonly Phase[],
    placements: readonly Placement[],
    action: (contender: Contender) => Promise<void>,
  ): Promise<void> {
    const contender = this.#contenders.get(step.contender);
    if (contender === undefined) return;
    try {
      await contender.start(step.mode);
      await action(contender);
    } catch (error) {
      for (const placement of placements) this.#fail(step, placement, phases, error);
    } finally {
      await contender
        .stop()
        .catch((error) => this.#say(`${this.#prefix}: ${describeError(error)}`));
    }
  }

  async #context(contender: Contender, step: Step, placement: Placement): Promise<PhaseContext> {
    const { mode } = step;
    const route = await routeOf(this.#cluster, mode, placement);
    await untilMode(this.#cluster, route, mode);
    const procDirs = await contender.procDirs();
    const { seconds } = this.#options;
    return { cluster: this.#cluster, mode, placement, route, seconds, procDirs };
  }

  /** Records what `measure` brings; where it throws, what it was for has failed. */
  async #attempt(
    step: Step,
    placement: Placement,
    whatFor: readonly (Phase | Metric)[],
    measure: () => Promise<Measured>,
  ): Promise<void> {
    try {
      const measured = await measure();
      const wanted = new Set(metricsOf(step.mode, this.#options.metrics));
      for (const [name, value] of Object.entries(measured)) {
        const metric = name as Metric;
        if (!wanted.has(metric)) continue;
        this.samples.add({ ...step, placement }, metric, value);
        this.#say(`${this.#prefix} ${placement}: ${metric} ${value.toPrecision(4)}`);
      }
    } catch (error) {
      this.#fail(step, placement, whatFor, error);
    }
  }

  #fail(
    step: Step,
    placement: Placement,
    whatFor: readonly (Phase | Metric)[],
    error: unknown,
  ): void {
    const reason = describeError(error);
    this.#say(`${this.#prefix} ${placement}: ${whatFor.join(", ")} failed: ${reason}`);
    const cell: Cell = { ...step, placement };
    for (const metric of metricsOf(step.mode, this.#options.metrics)) {
      const { phase } = METRICS[metric];
      if (whatFor.includes(metric) || whatFor.includes(phase)) {
        this.samples.fail(cell, metric, reason);
      }
    }
  }
}

const HELD = [
  ["rss_1000_mb", 1000],
  ["rss_8000_mb", 8000],
] as const;
