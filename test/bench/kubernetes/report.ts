/** The results as a table for people. */
import type { KubernetesBenchResult } from "./bench.ts";
import type { Percentiles } from "./churn.ts";

export function formatResult({ churn, fullSync, istiod, ...rest }: KubernetesBenchResult): string {
  const rows: readonly (readonly [string, string])[] = [
    ["objects loaded into the API server", seconds(rest.loadSeconds)],
    ["istiod-lite ready from cold", seconds(rest.startSeconds)],
    ["  CPU", seconds(istiod.cpuSecondsStart)],
    ["full sync, one ztunnel", `${seconds(fullSync.seconds)}, ${megabytes(fullSync.bytes)}`],
    ["  resources", String(fullSync.resources)],
    ["pods changed", `${churn.changes} at ${churn.changesPerSecond.toFixed(1)}/s`],
    ["  stored to applied", percentiles(churn.fromAnswer)],
    ["  request to applied", percentiles(churn.fromRequest)],
    ["  bytes each", Math.round(churn.bytesEach).toString()],
    ["  resources pushed", String(churn.resourcesPushed)],
    ["  for heartbeats besides", String(churn.heartbeats)],
    ["istiod-lite CPU churning / idle", both(istiod.cpuPercentChurn, istiod.cpuPercentIdle, "%")],
    [
      "istiod-lite RSS started / afterwards",
      both(istiod.rssMbStarted, istiod.rssMbAfterwards, " MB"),
    ],
    ["  peak", `${istiod.rssMbPeak.toFixed(0)} MB`],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n");
}

function percentiles({ p50Ms, p99Ms, maxMs }: Percentiles): string {
  return `p50 ${ms(p50Ms)}, p99 ${ms(p99Ms)}, max ${ms(maxMs)}`;
}

function both(first: number, second: number, unit: string): string {
  return `${first.toFixed(0)}${unit} / ${second.toFixed(0)}${unit}`;
}

const seconds = (value: number): string => `${value.toFixed(2)} s`;
const ms = (value: number): string => `${value.toFixed(1)} ms`;
const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(2)} MB`;
