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
