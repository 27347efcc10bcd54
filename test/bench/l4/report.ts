/** The results as data: one row per mode, placement and metric, in the shape that is written. */
import { METRICS, type Metric, type Mode, metricsOf, type Placement } from "./metrics.ts";
import type { BenchOptions } from "./options.ts";
import type { ContenderName, Samples } from "./samples.ts";

export interface Row {
  readonly mode: Mode;
  readonly placement: Placement;
  readonly metric: Metric;
  /** Null where every attempt failed. */
  readonly value: number | null;
  readonly unit: string;
  /** To the same metric without the mesh, of the same run; null where there is none. */
  readonly ratioToDirect: number | null;
  /** To a stock ztunnel in the same mode, of the same run; null without one. */
  readonly ratioToPeer: number | null;
}

export interface Report {
  readonly machine: object;
  readonly versions: Readonly<Record<string, string>>;
  readonly rows: readonly Row[];
}

export function buildRows(samples: Samples, options: BenchOptions): readonly Row[] {
  return options.placements.flatMap((placement) =>
    options.modes.flatMap((mode) =>
      metricsOf(mode, options.metrics).map((metric) => buildRow(samples, mode, placement, metric)),
    ),
  );
}

function buildRow(samples: Samples, mode: Mode, placement: Placement, metric: Metric): Row {
  const { unit } = METRICS[metric];
  const own = samples.value({ contender: ownContender(mode), mode, placement }, metric);
  const direct = samples.value({ contender: "direct", mode: "direct", placement }, metric);
  const peer = samples.value({ contender: "peer", mode, placement }, metric);
  return {
    mode,
    placement,
    metric,
    value: own === undefined ? null : round(own),
    unit,
    ratioToDirect: ratio(own, direct),
    ratioToPeer: ratio(own, peer),
  };
}

/** Who runs a mode when it is not the peer. */
export function ownContender(mode: Mode): ContenderName {
  return mode === "direct" ? "direct" : "ours";
}

function ratio(value: number | undefined, base: number | undefined): number | null {
  return value === undefined || base === undefined || base === 0 ? null : round(value / base);
}

/** Four digits are more than the measurement knows. */
function round(value: number): number {
  return Number(value.toPrecision(4));
}
