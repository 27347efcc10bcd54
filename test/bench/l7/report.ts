/** The results as data: medians over the rounds, and what they add within a round. */
import { median } from "../l4/statistics.ts";
import type { Sample } from "./bench.ts";
import {
  ADDED_P99_BAR_MS,
  BARS,
  type Case,
  hasWaypoint,
  METRIC_NAMES,
  METRICS,
  type Metric,
  type Protocol,
} from "./cases.ts";
import type { BenchOptions } from "./options.ts";

export interface Row {
  readonly case: Case;
  readonly protocol: Protocol;
  readonly metric: Metric | "added_p99_ms";
  readonly unit: string;
  /** Median, least and greatest of the rounds; null where every attempt failed. */
  readonly value: readonly [number, number, number] | null;
  /** To direct requests of the same round, the median; null where there are none. */
  readonly ratioToDirect: number | null;
  /** What it must not exceed; null where nothing is asked. */
  readonly bar: number | null;
}

export function buildRows(samples: readonly Sample[], options: BenchOptions): readonly Row[] {
  return options.protocols.flatMap((protocol) =>
    options.cases.flatMap((name) => {
      const own = samples.filter((one) => one.case === name && one.protocol === protocol);
      const direct = samples.filter((one) => one.case === "direct" && one.protocol === protocol);
      return rowsOf(name, protocol, own, direct);
    }),
  );
}

function rowsOf(
  name: Case,
  protocol: Protocol,
  own: readonly Sample[],
  direct: readonly Sample[],
): readonly Row[] {
  const applicable = METRIC_NAMES.filter(
    (metric) =>
      hasWaypoint(name) ||
      (!metric.includes("waypoint") && (name !== "direct" || !metric.includes("mesh"))),
  );
  const rows = applicable.map((metric): Row => {
    const bar = hasWaypoint(name) ? (BARS[metric] ?? null) : null;
    const ratios = paired(own, direct, metric, (value, base) => value / base);
    const value = spread(own.flatMap(({ values }) => values[metric] ?? []));
    const ratioToDirect = ratios.length === 0 ? null : round(median(ratios));
    return { case: name, protocol, metric, unit: METRICS[metric], value, ratioToDirect, bar };
  });
  const added = paired(own, direct, "p99_ms", (value, base) => value - base);
  if (name === "direct" || added.length === 0) return rows;
  const bar = hasWaypoint(name) ? ADDED_P99_BAR_MS : null;
  const rest = { unit: "ms", value: spread(added), ratioToDirect: null, bar };
  return [...rows, { case: name, protocol, metric: "added_p99_ms", ...rest }];
}

/** One value for each round that has both. */
function paired(
  own: readonly Sample[],
  others: readonly Sample[],
  metric: Metric,
  combine: (value: number, base: number) => number,
): readonly number[] {
  return own.flatMap((sample) => {
    const value = sample.values[metric];
    const base = others.find((other) => other.round === sample.round)?.values[metric];
    return value === undefined || base === undefined ? [] : [combine(value, base)];
  });
}

function spread(values: readonly number[]): Row["value"] {
  if (values.length === 0) return null;
  return [round(median(values)), round(Math.min(...values)), round(Math.max(...values))];
}

/** Four digits are more than the measurement knows. */
function round(value: number): number {
  return Number(value.toPrecision(4));
}
