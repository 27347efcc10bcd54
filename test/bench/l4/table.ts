/** The results for people: a table per placement, with the bars and whether they are met. */
import { type Bar, barOf, METRICS, type Metric, type Mode, type Placement } from "./metrics.ts";
import type { BenchOptions } from "./options.ts";
import { estimatedRatioToPeer } from "./reference-figures.ts";
import { ownContender, type Row } from "./report.ts";
import type { Samples } from "./samples.ts";

export function formatTables(
  rows: readonly Row[],
  samples: Samples,
  options: BenchOptions,
): string {
  const tables = options.placements.flatMap((placement) =>
    options.modes.map((mode) => {
      const own = rows.filter((row) => row.placement === placement && row.mode === mode);
      return own.length === 0 ? "" : formatTable(placement, mode, own, samples, options);
    }),
  );
  return tables.filter((table) => table !== "").join("\n");
}

function formatTable(
  placement: Placement,
  mode: Mode,
  rows: readonly Row[],
  samples: Samples,
  options: BenchOptions,
): string {
  const withPeer = options.peer !== undefined && mode !== "direct";
  const header = ["metric", "unit", mode === "direct" ? "direct" : "ours"];
  if (mode !== "direct") header.push("x direct");
  if (withPeer) header.push("peer", "x peer");
  if (mode !== "direct") header.push("bar");
  const lines = rows.map((row) => {
    const cells: string[] = [
      row.metric,
      METRICS[row.metric].unit,
      row.value === null ? "failed" : number(row.value),
    ];
    if (mode !== "direct") cells.push(number(row.ratioToDirect));
    if (withPeer) cells.push(peerValue(row, samples), number(row.ratioToPeer));
    if (mode !== "direct") cells.push(verdict(row, withPeer));
    return cells;
  });
  const failures = rows.flatMap((row) => failureOf(row, samples));
  return `\n${mode}, ${placement}\n${align([header, ...lines])}${failures.join("")}`;
}

function failureOf({ mode, placement, metric, value }: Row, samples: Samples): string[] {
  if (value !== null) return [];
  const reason = samples.failure({ contender: ownContender(mode), mode, placement }, metric);
  return [`  ${metric} failed: ${oneLine(reason ?? "not measured")}\n`];
}

function peerValue({ mode, placement, metric }: Row, samples: Samples): string {
  const cell = { contender: "peer", mode, placement } as const;
  const value = samples.value(cell, metric);
  return value === undefined ? "failed" : number(value);
}

/**
 * `~` marks a ratio to a stock ztunnel that was not measured now but follows from older figures.
 */
function verdict(row: Row, withPeer: boolean): string {
  const bar = barOf(row.mode, row.metric);
  if (bar === undefined) return "";
  if (row.value === null) return `${describe(bar)}: not met (failed)`;
  if (bar.of === "absolute") return judge(bar, row.value, "");
  if (row.ratioToPeer !== null) return judge(bar, row.ratioToPeer, "");
  if (withPeer) return `${describe(bar)}: unknown, the peer failed`;
  const ratio = estimate(row.mode, row.metric, row.value, row);
  if (ratio === undefined) return `${describe(bar)}: unknown without --peer`;
  return judge(bar, ratio, `, ~${number(ratio)} by older figures`);
}

function estimate(mode: Mode, metric: Metric, value: number, row: Row): number | undefined {
  // The older figures are of connections between nodes.
  if (row.placement !== "cross-node") return undefined;
  return estimatedRatioToPeer(mode, metric, value, row.ratioToDirect);
}

function judge(bar: Bar, value: number, note: string): string {
  return `${describe(bar)}: ${meets(bar, value) ? "met" : "NOT MET"}${note}`;
}

/** Whether a value (for a bar of the peer: a ratio) is good enough. */
export function meets({ atLeast, atMost }: Bar, value: number): boolean {
  return value >= (atLeast ?? Number.NEGATIVE_INFINITY) && value <= (atMost ?? Infinity);
}

function describe({ of, atLeast, atMost }: Bar): string {
  const unit = of === "peer" ? " x peer" : "";
  return atLeast === undefined ? `<= ${atMost}${unit}` : `>= ${atLeast}${unit}`;
}

function number(value: number | null): string {
  return value === null ? "-" : String(Number(value.toPrecision(3)));
}

function oneLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}

/** Columns as wide as their widest cell; the last one is not padded. */
function align(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, i) => Math.max(...lines.map((l) => l[i]?.length ?? 0)));
  return lines
    .map((cells) => cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  "))
    .map((line) => `  ${line.trimEnd()}\n`)
    .join("");
}
