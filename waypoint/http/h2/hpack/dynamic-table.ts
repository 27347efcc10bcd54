/** The fields that a connection's blocks have put into its table (RFC 7541 2.3.2, 4). */

/** What an entry counts beyond its bytes (RFC 7541 4.1). */
export const ENTRY_OVERHEAD_BYTES = 32;

const FIRST_PLACES = 8;

export class TableEntry {
  readonly name: string;
  readonly value: string;
  /** How many entries there had been before it. */
  readonly order: number;
  /** For whoever looks entries up by value: an earlier one with the same. */
  earlier: TableEntry | undefined;

  constructor(name: string, value: string, order: number) {
    this.name = name;
    this.value = value;
    this.order = order;
    this.earlier = undefined;
  }

  /** Names and values are one byte per character. */
  get bytes(): number {
    return this.name.length + this.value.length + ENTRY_OVERHEAD_BYTES;
  }
}

/** A ring: `order` says the place. What was dropped is not held on to. */
export class DynamicTable {
  #ring: (TableEntry | undefined)[] = new Array<undefined>(FIRST_PLACES).fill(undefined);
  #oldest = 0;
  #next = 0;
  #bytes = 0;
  #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** 1 is the entry that was added last. */
  at(index: number): TableEntry | undefined {
    const order = this.#next - index;
    return order < this.#oldest ? undefined : this.#ring[order & (this.#ring.length - 1)];
  }

  indexOf({ order }: TableEntry): number {
    return this.#next - order;
  }

  holds({ order }: TableEntry): boolean {
    return order >= this.#oldest;
  }

  /** `makeRoom` first. */
  add(name: string, value: string): TableEntry {
    if (this.#next - this.#oldest === this.#ring.length) this.#enlarge();
    const entry = new TableEntry(name, value, this.#next++);
    this.#ring[entry.order & (this.#ring.length - 1)] = entry;
    this.#bytes += entry.bytes;
    return entry;
  }

  /** Drops the oldest until so many bytes fit, or nothing is left. */
  makeRoom(bytes: number, onDropped?: (entry: TableEntry) => void): void {
    while (this.#bytes + bytes > this.#maxBytes && this.#oldest < this.#next) {
      const place = this.#oldest++ & (this.#ring.length - 1);
      const entry = this.#ring[place];
      if (entry === undefined) continue;
      this.#ring[place] = undefined;
      this.#bytes -= entry.bytes;
      onDropped?.(entry);
    }
  }

  resize(maxBytes: number, onDropped?: (entry: TableEntry) => void): void {
    this.#maxBytes = maxBytes;
    this.makeRoom(0, onDropped);
  }

  #enlarge(): void {
    const ring = new Array<TableEntry | undefined>(this.#ring.length * 2).fill(undefined);
    for (const entry of this.#ring) {
      if (entry !== undefined) ring[entry.order & (ring.length - 1)] = entry;
    }
    this.#ring = ring;
  }
}
