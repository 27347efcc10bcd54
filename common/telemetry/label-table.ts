/**
 * The two ends of label interning: numbers given out in a worker, looked up in the control thread.
 */
import type { ConnectionBatch, ConnectionLabels, ConnectionRecord } from "./connection-record.ts";
import { INTERNED_LABELS } from "./limits.ts";

/** Gives out numbers; at `INTERNED_LABELS` sets it forgets all and numbers on. */
export class LabelInterner {
  readonly #numbers = new Map<string, number>();
  #fresh: [number, ConnectionLabels][] = [];
  #next = 1;
  #forgetBelow = 0;

  /** The number for `key`; `make` is called when the key is new. */
  intern(key: string, make: () => ConnectionLabels): number {
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    if (this.#numbers.size >= INTERNED_LABELS) {
      this.#numbers.clear();
      this.#forgetBelow = this.#next;
    }
    const number = this.#next++;
    this.#numbers.set(key, number);
    this.#fresh.push([number, make()]);
    return number;
  }

  /** What the other end has to know before it reads the records made since the last call. */
  takeFresh(): Pick<ConnectionBatch, "labels" | "forgetLabelsBelow"> {
    const labels = this.#fresh;
    this.#fresh = [];
    return { labels, forgetLabelsBelow: this.#forgetBelow };
  }
}

/** The label sets of one worker. */
export class LabelTable {
  readonly #labels = new Map<number, ConnectionLabels>();
  #forgottenBelow = 0;

  /** Calls `each` for every record of the batch with its labels. */
  read(
    batch: ConnectionBatch,
    each: (record: ConnectionRecord, labels: ConnectionLabels) => void,
  ): void {
    for (const [number, labels] of batch.labels) this.#labels.set(number, labels);
    for (const record of batch.records) {
      const labels = this.#labels.get(record.labels);
      if (labels !== undefined) each(record, labels);
    }
    this.#forget(batch.forgetLabelsBelow);
  }

  #forget(below: number): void {
    if (below === this.#forgottenBelow) return;
    this.#forgottenBelow = below;
    for (const number of this.#labels.keys()) if (number < below) this.#labels.delete(number);
  }
}
