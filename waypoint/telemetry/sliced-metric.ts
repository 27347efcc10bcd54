/**
 * A metric with many series, printed a few series at a time: all at once would hold up requests for
 * as long as a scrape takes to print.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Metric, Registry } from "prom-client";
import type { Distribution } from "./distribution.ts";
import { SERIES_PER_TURN } from "./limits.ts";

/** One series: its lines but for the last number, and that number. */
export interface PrintedSeries {
  readonly lines: string;
  readonly last: number;
}

interface MetricOptions<Series> {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "histogram";
  readonly series: () => Iterable<Series>;
  readonly print: (name: string, series: Series) => PrintedSeries;
}

export function registerSliced<Series>(registry: Registry, options: MetricOptions<Series>): void {
  const { name, help, type } = options;
  const get = async () => ({ name, help, type, aggregator: "sum", values: await values(options) });
  // What a registry asks of a metric is its name and `get`; the type names prom-client's classes.
  registry.registerMetric({ name, help, type, get, reset: () => undefined } as unknown as Metric);
}

/**
 * prom-client prints the name, the labels and the value of each: here all but the last is the name.
 */
async function values<Series>({ name, series, print }: MetricOptions<Series>) {
  const printed: { metricName: string; labels: object; value: number }[] = [];
  for (const one of series()) {
    const { lines, last } = print(name, one);
    printed.push({ metricName: lines, labels: {}, value: last });
    if (printed.length % SERIES_PER_TURN === 0) await nextTurn();
  }
  return printed;
}

/** `a="1",b="2"`. Source: Prometheus' text format, version 0.0.4. */
export function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, escaped)}"`)
    .join(",");
}

function escaped(character: string): string {
  return character === "\n" ? "\\n" : `\\${character}`;
}

export function printCounter(name: string, labels: string, value: number): PrintedSeries {
  return { lines: `${name}{${labels}}`, last: value };
}

export function printHistogram(
  name: string,
  labels: string,
  distribution: Distribution,
): PrintedSeries {
  const counts = distribution.cumulative();
  const buckets = counts.map((count, i) => {
    return `${name}_bucket{le="${distribution.bounds[i] ?? "+Inf"}",${labels}} ${count}\n`;
  });
  const sum = `${name}_sum{${labels}} ${distribution.sum}\n`;
  return { lines: `${buckets.join("")}${sum}${name}_count{${labels}}`, last: counts.at(-1) ?? 0 };
}
