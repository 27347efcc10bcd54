/** The results for people: a table per protocol, one of the engines, the bars that are missed. */
import { CASES } from "./cases.ts";
import type { Summary } from "./engine/engine-bench.ts";
import type { BenchOptions } from "./options.ts";
import type { Row } from "./report.ts";

/** Of our default engine's requests per second, to nginx's. */
const ENGINE_BAR = 0.65;
const DEFAULT_ENGINE = "llhttp";

export function formatTables(rows: readonly Row[], { protocols }: BenchOptions): string {
  const tables = protocols.map((protocol) => {
    const own = rows.filter((row) => row.protocol === protocol);
    const cases = CASES.filter((name) => own.some((row) => row.case === name));
    const metrics = [...new Set(own.map(({ metric }) => metric))];
    const lines = metrics.map((metric) => {
      const cells = cases.map((name) => {
        return cell(own.find((row) => row.case === name && row.metric === metric));
      });
      return [metric, ...cells];
    });
    return `\n${protocol}\n${align([["metric", ...cases], ...lines])}`;
  });
  return [...tables, verdicts(rows)].join("\n");
}

export function formatEngines(summaries: readonly Summary[]): string {
  const header = ["engine", "req/s", "p99 ms", "CPU-s/1000", "x nginx", "(range)", "failures"];
  const lines = summaries.map(({ ratioToNginx: [middle, least, greatest], ...one }) => [
    one.contender,
    number(one.requestsPerSecond),
    number(one.p99Ms),
    number(one.cpuSecondsPer1000),
    number(middle),
    `${number(least)}-${number(greatest)}`,
    String(one.failures),
  ]);
  const own = summaries.find(({ contender }) => contender === DEFAULT_ENGINE);
  const met = own !== undefined && own.ratioToNginx[0] >= ENGINE_BAR ? "met" : "NOT MET";
  const bar = `${DEFAULT_ENGINE} at least ${ENGINE_BAR} of nginx: ${met}`;
  return `\nplain reverse proxies, 1 KiB, keep-alive\n${align([header, ...lines])}\n${bar}\n`;
}

function verdicts(rows: readonly Row[]): string {
  const lines = rows.flatMap(({ bar, value, ...row }) => {
    if (bar === null) return [];
    const met = value !== null && value[0] <= bar ? "met" : "NOT MET";
    return [`${row.protocol} ${row.case} ${row.metric} ${number(value?.[0])} <= ${bar}: ${met}`];
  });
  return `\n${lines.join("\n")}\n`;
}

function cell(row: Row | undefined): string {
  if (row === undefined) return "";
  return row.value === null ? "failed" : number(row.value[0]);
}

function number(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return "-";
  return value >= 1_000 ? value.toFixed(0) : value.toPrecision(3);
}

function align(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, i) => {
    return Math.max(...lines.map((line) => line[i]?.length ?? 0));
  });
  return lines
    .map((line) =>
      line
        .map((text, i) => text.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
