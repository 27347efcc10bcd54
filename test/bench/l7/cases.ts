/** What is measured: ways to the server, what is spoken on them, and the numbers of each. */

/** `policies`: ten AuthorizationPolicies and a token to check; `routes`: 500 HTTPRoutes. */
export const CASES = ["direct", "l4", "waypoint", "policies", "routes"] as const;
export type Case = (typeof CASES)[number];

export const PROTOCOLS = ["http1", "http2", "grpc"] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** CPU of the waypoint alone (`waypoint_`) and of it and both nodes' ztunnels (`mesh_`). */
export const METRICS = {
  p50_ms: "ms",
  p99_ms: "ms",
  waypoint_cpu_s_per_1000: "CPU-s/1000",
  mesh_cpu_s_per_1000: "CPU-s/1000",
  waypoint_rss_mb: "MB",
  max_per_s: "1/s",
  max_waypoint_cpu_s_per_1000: "CPU-s/1000",
  max_mesh_cpu_s_per_1000: "CPU-s/1000",
} as const;
export type Metric = keyof typeof METRICS;
export const METRIC_NAMES = Object.keys(METRICS) as readonly Metric[];

/** At this rate latencies, CPU and memory are measured. */
export const RATE_PER_SECOND = 1_000;

/** What a waypoint may take at that rate, and add to the latency of direct connections. */
export const BARS: Readonly<Partial<Record<Metric, number>>> = {
  waypoint_cpu_s_per_1000: 0.3,
  waypoint_rss_mb: 150,
};
export const ADDED_P99_BAR_MS = 3;

export function hasWaypoint(name: Case): name is "waypoint" | "policies" | "routes" {
  return name !== "direct" && name !== "l4";
}
