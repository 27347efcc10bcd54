/** ambient_limit_reached_total: what met a bound of this program, by bound. */
import { Counter, type Registry } from "prom-client";
import type { LimitName } from "./connection-record.ts";

export class LimitCounter {
  readonly #counter: Counter;

  constructor(registry: Registry) {
    this.#counter = new Counter({
      name: "ambient_limit_reached_total",
      help: "Connections refused, reset or not logged because a bound was reached",
      labelNames: ["limit"],
      registers: [registry],
    });
  }

  reached(limit: LimitName, times = 1): void {
    this.#counter.inc({ limit }, times);
  }
}
