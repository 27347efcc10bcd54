/** What the rounds measured: values and failures, by who ran, in which mode and placement. */
import type { Metric, Mode, Placement } from "./metrics.ts";
import { median } from "./statistics.ts";

/** `direct` is nobody: the pods talk past any proxy. */
export type ContenderName = "direct" | "ours" | "peer";

export interface Cell {
  readonly contender: ContenderName;
  readonly mode: Mode;
  readonly placement: Placement;
}

export class Samples {
  readonly #values = new Map<string, number[]>();
  readonly #failures = new Map<string, string>();

  add(cell: Cell, metric: Metric, value: number): void {
    const key = keyOf(cell, metric);
    const values = this.#values.get(key) ?? [];
    values.push(value);
    this.#values.set(key, values);
  }

  /** The latest reason counts, and only where no round brought a value. */
  fail(cell: Cell, metric: Metric, reason: string): void {
    this.#failures.set(keyOf(cell, metric), reason);
  }

  /** The median over the rounds; undefined where none brought a value. */
  value(cell: Cell, metric: Metric): number | undefined {
    const values = this.#values.get(keyOf(cell, metric));
    return values === undefined ? undefined : median(values);
  }

  failure(cell: Cell, metric: Metric): string | undefined {
    return this.#failures.get(keyOf(cell, metric));
  }
}

function keyOf({ contender, mode, placement }: Cell, metric: Metric): string {
  return [contender, mode, placement, metric].join(" ");
}
