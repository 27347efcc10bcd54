/** Metrics that are read when they are asked for, from whoever counts anyway. */
import { Counter, Gauge, type Registry } from "prom-client";

export function liveGauge(
  registry: Registry,
  name: string,
  help: string,
  read: () => number,
): void {
  const metric: Gauge = new Gauge({
    name,
    help,
    registers: [registry],
    collect: () => metric.set(read()),
  });
}

export function liveCounter(
  registry: Registry,
  name: string,
  help: string,
  read: () => number,
): void {
  const metric: Counter = new Counter({
    name,
    help,
    registers: [registry],
    collect: () => {
      metric.reset();
      metric.inc(read());
    },
  });
}

/** A counter with one label, whose values are those of the map's keys. */
export function liveCounterBy(
  registry: Registry,
  name: string,
  help: string,
  label: string,
  read: () => ReadonlyMap<string, number>,
): void {
  const metric: Counter = new Counter({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect: () => {
      metric.reset();
      for (const [value, count] of read()) metric.inc({ [label]: value }, count);
    },
  });
}
