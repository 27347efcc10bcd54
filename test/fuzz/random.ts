/** Random numbers that a seed repeats (xorshift, Marsaglia 2003): what every input comes from. */

export class Random {
  #state: number;

  /** Any number; 0 and its multiples of 2^32 count as 1. */
  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
    // Neighbouring seeds begin alike.
    for (let i = 0; i < 8; i++) this.#next();
  }

  /** A whole number from 0 to below `count`. */
  below(count: number): number {
    return this.#next() % Math.max(1, count);
  }

  chance(oneIn: number): boolean {
    return this.below(oneIn) === 0;
  }

  /** Mostly small, now and then up to `max`. */
  size(max: number): number {
    return this.below(this.chance(8) ? max : Math.min(max, 16)) + 1;
  }

  /** Throws on an empty list. */
  pick<Value>(list: readonly Value[]): Value {
    const value = list[this.below(list.length)];
    if (value === undefined) throw new RangeError("nothing to pick from");
    return value;
  }

  #next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state;
  }
}
