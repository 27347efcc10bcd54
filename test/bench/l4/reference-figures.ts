/**
 * What a stock ztunnel reached beside direct connections on a machine of two cores, for runs
 * without one: its share of direct is what carries over to another machine, and so are CPU seconds
 * per work, roughly.
 */
import type { Metric, Mode } from "./metrics.ts";

/** Ratios to direct, cross-node; medians of few runs with iperf3 and fortio. */
const SHARE_OF_DIRECT: Partial<Record<Mode, Partial<Record<Metric, number>>>> = {
  plain: { bulk_1_gbps: 9.0 / 17.4, bulk_8_gbps: 8.1 / 22.6 },
  hbone: {
    bulk_1_gbps: 5.7 / 17.4,
    bulk_8_gbps: 5.45 / 22.6,
    rr1000_p99_ms: 0.6 / 0.18,
    rr_max_per_s: 16_200 / 82_000,
    crr_per_s: 3_180 / 10_100,
  },
};

const ABSOLUTE: Partial<Record<Mode, Partial<Record<Metric, number>>>> = {
  hbone: { bulk_1_cpu_s_per_gb: 1.7, bulk_8_cpu_s_per_gb: 2.1 },
};

/** An estimate of the ratio to a stock ztunnel; undefined where nothing is known. */
export function estimatedRatioToPeer(
  mode: Mode,
  metric: Metric,
  value: number,
  ratioToDirect: number | null,
): number | undefined {
  const share = SHARE_OF_DIRECT[mode]?.[metric];
  if (share !== undefined && ratioToDirect !== null) return ratioToDirect / share;
  const absolute = ABSOLUTE[mode]?.[metric];
  return absolute === undefined ? undefined : value / absolute;
}
