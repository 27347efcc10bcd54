/** The results as a table for people. */
import type { ControlPlaneResult } from "./bench.ts";

export function formatResult(result: ControlPlaneResult): string {
  const { fullSync, herd, istiodRssMb, noOpEdits, podChange, reconnect, ztunnel } = result;
  const rows: readonly (readonly [string, string])[] = [
    ["istiod-lite starts", seconds(result.startSeconds)],
    ["full sync, one ztunnel", `${seconds(fullSync.seconds)}, ${megabytes(fullSync.bytes)}`],
    ["  resources", String(fullSync.resources)],
    ["one pod changes, file to applied", `p50 ${ms(podChange.p50Ms)}, p99 ${ms(podChange.p99Ms)}`],
    ["  bytes", Math.round(podChange.bytesEach).toString()],
    [
      `${noOpEdits.edits} edits that change nothing`,
      `${noOpEdits.resourcesPushed} resources pushed`,
    ],
    ["reconnect, unchanged", `${reconnect.resourcesResent} resources re-sent`],
    ["  takes", `${seconds(reconnect.seconds)}, ${Math.round(reconnect.bytes)} bytes`],
    [`herd of ${herd.clients}, all synced`, seconds(herd.seconds)],
    ["  sent", `${herd.megabytes.toFixed(0)} MB, ${herd.retries} streams tried again`],
    ["  istiod-lite RSS before / peak", `${mb(herd.rssMbBefore)} / ${mb(herd.rssMbPeak)}`],
    ["istiod-lite RSS started / at the end", both(istiodRssMb)],
    ["ztunnel ready / RSS", ztunnel === undefined ? "not measured" : ztunnelRow(ztunnel)],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n");
}

function both({ started, afterwards }: ControlPlaneResult["istiodRssMb"]): string {
  return `${mb(started)} / ${mb(afterwards)}`;
}

function ztunnelRow({ readySeconds, rssMb }: NonNullable<ControlPlaneResult["ztunnel"]>): string {
  return `${seconds(readySeconds)} / ${mb(rssMb)}`;
}

const seconds = (value: number): string => `${value.toFixed(2)} s`;
const ms = (value: number): string => `${value.toFixed(1)} ms`;
const mb = (value: number): string => `${value.toFixed(0)} MB`;
const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(2)} MB`;
