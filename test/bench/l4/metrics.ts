/** What is measured: names, units, and what each number needs to be called good. */

export const MODES = ["direct", "plain", "hbone"] as const;
/** `plain`: both ends captured, connections carried as they are. */
export type Mode = (typeof MODES)[number];

export const PLACEMENTS = ["cross-node", "same-node"] as const;
export type Placement = (typeof PLACEMENTS)[number];

/** The loads; each gives one or more metrics. */
export const PHASES = ["bulk_1", "bulk_8", "rr1000", "rr_max", "crr", "memory"] as const;
export type Phase = (typeof PHASES)[number];

interface MetricFacts {
  readonly phase: Phase;
  readonly unit: string;
  /** A property of proxies, which direct connections do not have. */
  readonly ofProxies: boolean;
}

const traffic = (phase: Phase, unit: string): MetricFacts => ({ phase, unit, ofProxies: false });
const proxies = (phase: Phase, unit: string): MetricFacts => ({ phase, unit, ofProxies: true });

/** CPU seconds are those of both nodes' proxies together; RSS is the larger of the two proxies'. */
export const METRICS = {
  bulk_1_gbps: traffic("bulk_1", "Gbit/s"),
  bulk_8_gbps: traffic("bulk_8", "Gbit/s"),
  bulk_1_cpu_s_per_gb: proxies("bulk_1", "CPU-s/GB"),
  bulk_8_cpu_s_per_gb: proxies("bulk_8", "CPU-s/GB"),
  rr1000_p50_ms: traffic("rr1000", "ms"),
  rr1000_p90_ms: traffic("rr1000", "ms"),
  rr1000_p99_ms: traffic("rr1000", "ms"),
  rr1000_cpu_s_per_1000: proxies("rr1000", "CPU-s/1000"),
  rr_max_per_s: traffic("rr_max", "1/s"),
  crr_per_s: traffic("crr", "1/s"),
  rss_idle_mb: proxies("memory", "MB"),
  rss_1000_mb: proxies("memory", "MB"),
  rss_8000_mb: proxies("memory", "MB"),
} as const satisfies Record<string, MetricFacts>;

export type Metric = keyof typeof METRICS;
export const METRIC_NAMES = Object.keys(METRICS) as readonly Metric[];

/** What a metric of a mode has to reach. */
export interface Bar {
  /** `peer`: the ratio to a stock ztunnel on the same topology; `absolute`: the value itself. */
  readonly of: "peer" | "absolute";
  readonly atLeast?: number;
  readonly atMost?: number;
}

const RSS_BARS: Partial<Record<Metric, Bar>> = {
  rss_idle_mb: { of: "absolute", atMost: 90 },
  rss_1000_mb: { of: "absolute", atMost: 130 },
  rss_8000_mb: { of: "absolute", atMost: 350 },
};

const BARS: Readonly<Record<Mode, Partial<Record<Metric, Bar>>>> = {
  direct: {},
  plain: {
    bulk_1_gbps: { of: "peer", atLeast: 1.1 },
    bulk_8_gbps: { of: "peer", atLeast: 1.1 },
    ...RSS_BARS,
  },
  hbone: {
    bulk_1_gbps: { of: "peer", atLeast: 0.9 },
    bulk_8_gbps: { of: "peer", atLeast: 1 },
    bulk_1_cpu_s_per_gb: { of: "peer", atMost: 1.35 },
    bulk_8_cpu_s_per_gb: { of: "peer", atMost: 1.35 },
    rr1000_p99_ms: { of: "peer", atMost: 2 },
    rr_max_per_s: { of: "peer", atLeast: 1 },
    crr_per_s: { of: "peer", atLeast: 0.65 },
    ...RSS_BARS,
  },
};

export function barOf(mode: Mode, metric: Metric): Bar | undefined {
  return BARS[mode][metric];
}

/** The metrics that a mode has, of those wanted. */
export function metricsOf(mode: Mode, wanted: readonly Metric[]): readonly Metric[] {
  return wanted.filter((metric) => mode !== "direct" || !METRICS[metric].ofProxies);
}

/** The loads that these metrics of a mode take, in the order in which they are run. */
export function phasesOf(mode: Mode, wanted: readonly Metric[]): readonly Phase[] {
  const needed = new Set<Phase>(metricsOf(mode, wanted).map((metric) => METRICS[metric].phase));
  return PHASES.filter((phase) => needed.has(phase));
}
