/** Names and values to header blocks (RFC 7541). One encoder serves one connection. */
import { BlockWriter } from "./block-writer.ts";
import { DynamicTable, ENTRY_OVERHEAD_BYTES, type TableEntry } from "./dynamic-table.ts";
import { type Indexing, indexingFor, type KnownName, knownName } from "./indexing.ts";
import { REMEMBERED_NAMES, TABLE_BYTES, UNUSED_VALUES, VALUES_PER_TRIAL } from "./limits.ts";
import { STATIC_ENTRIES } from "./static-table.ts";

/** The first bits of a field's representation, and those that are left for a number beside them. */
const INDEXED = 0x80;
const INDEXED_PREFIX = 0x7f;
const ADDED_TO_TABLE = 0x40;
const ADDED_PREFIX = 0x3f;
const SIZE_UPDATE = 0x20;
const SIZE_PREFIX = 0x1f;
const NEVER_INDEXED = 0x10;
const PLAIN = 0x00;
const PLAIN_PREFIX = 0x0f;

/** Blocks are encoded in one go, so that one place serves all connections. */
const WRITER = new BlockWriter();

/** A name on this connection. */
class Name {
  readonly known: KnownName;
  /** The last entry with it, as long as that is in the table. */
  latest: TableEntry | undefined = undefined;
  /** Its entries that were not used again, less those that were. */
  unused = 0;
  /** Its values that were sent without a try since the last one. */
  untried = 0;

  constructor(known: KnownName) {
    this.known = known;
  }
}

export class HpackEncoder {
  readonly #table = new DynamicTable(TABLE_BYTES);
  readonly #names = new Map<string, Name>();
  /** The last entry with a value; `earlier` leads to others, which have other names. */
  readonly #byValue = new Map<string, TableEntry>();
  readonly #onDropped = (entry: TableEntry): void => this.#forget(entry);
  /** What the peer allowed since the last block: the least, and the last. */
  #leastAllowed = TABLE_BYTES;
  #allowed = TABLE_BYTES;

  /** What the peer's SETTINGS allow; ours never takes more than `TABLE_BYTES`. */
  setMaxTableBytes(bytes: number): void {
    this.#allowed = Math.min(bytes, TABLE_BYTES);
    this.#leastAllowed = Math.min(this.#leastAllowed, this.#allowed);
  }

  /** The block is the caller's to keep. Characters beyond one byte are sent as `?`. */
  encode(flat: readonly string[]): Buffer {
    WRITER.begin();
    this.#writeSizeUpdates();
    for (let i = 0; i < flat.length; i += 2) this.#writeField(flat[i] ?? "", flat[i + 1] ?? "");
    return WRITER.finish();
  }

  /** RFC 7541 4.2: where it has been less in between, the peer has dropped more. */
  #writeSizeUpdates(): void {
    if (this.#leastAllowed < this.#allowed) this.#resize(this.#leastAllowed);
    if (this.#allowed !== this.#table.maxBytes) this.#resize(this.#allowed);
    this.#leastAllowed = this.#allowed;
  }

  #resize(bytes: number): void {
    WRITER.integer(SIZE_UPDATE, SIZE_PREFIX, bytes);
    this.#table.resize(bytes, this.#onDropped);
  }

  #writeField(name: string, value: string): void {
    WRITER.reserve(name.length + value.length);
    const entry = this.#names.get(name) ?? this.#remember(name);
    const inStatic = entry.known.values?.get(value);
    if (inStatic !== undefined) {
      WRITER.integer(INDEXED, INDEXED_PREFIX, inStatic);
      return;
    }
    const indexing = indexingFor(entry.known, value);
    if (indexing === "indexed") this.#writeIndexed(entry, name, value);
    else this.#writeLiteral(entry, name, value, indexing);
  }

  #writeIndexed(entry: Name, name: string, value: string): void {
    const found = this.#find(name, value);
    if (found !== undefined) {
      WRITER.integer(INDEXED, INDEXED_PREFIX, STATIC_ENTRIES + this.#table.indexOf(found));
      if (entry.unused > 0) entry.unused--;
      return;
    }
    const bytes = name.length + value.length + ENTRY_OVERHEAD_BYTES;
    // One that takes more than half of the table drives out too much that repeats.
    const isAdded = bytes * 2 <= this.#table.maxBytes && isWorthATry(entry);
    this.#writeLiteral(entry, name, value, isAdded ? "indexed" : "plain");
    if (isAdded) this.#add(entry, name, value, bytes);
  }

  #writeLiteral(entry: Name, name: string, value: string, indexing: Indexing): void {
    const { latest, known } = entry;
    let index = known.index;
    if (index === 0 && latest !== undefined) index = STATIC_ENTRIES + this.#table.indexOf(latest);
    if (indexing === "indexed") WRITER.integer(ADDED_TO_TABLE, ADDED_PREFIX, index);
    else WRITER.integer(indexing === "never" ? NEVER_INDEXED : PLAIN, PLAIN_PREFIX, index);
    if (index === 0) WRITER.string(name);
    WRITER.string(value);
  }

  #find(name: string, value: string): TableEntry | undefined {
    let entry = this.#byValue.get(value);
    while (entry !== undefined && entry.name !== name) {
      const { earlier } = entry;
      // What was dropped is not held on to by what came after it.
      if (earlier !== undefined && !this.#table.holds(earlier)) entry.earlier = undefined;
      entry = entry.earlier;
    }
    return entry;
  }

  #add(entry: Name, name: string, value: string, bytes: number): void {
    this.#table.makeRoom(bytes, this.#onDropped);
    const added = this.#table.add(name, value);
    added.earlier = this.#byValue.get(value);
    this.#byValue.set(value, added);
    entry.latest = added;
  }

  #forget(dropped: TableEntry): void {
    if (this.#byValue.get(dropped.value) === dropped) this.#byValue.delete(dropped.value);
    const name = this.#names.get(dropped.name);
    if (name?.latest === dropped) name.latest = undefined;
  }

  #remember(name: string): Name {
    if (this.#names.size >= REMEMBERED_NAMES) {
      for (const [other, { latest }] of this.#names) {
        if (latest === undefined) this.#names.delete(other);
      }
    }
    const entry = new Name(knownName(name));
    this.#names.set(name, entry);
    return entry;
  }
}

/** Whether this value may repeat, going by those of the same name before it. */
function isWorthATry(name: Name): boolean {
  if (name.unused < UNUSED_VALUES) {
    name.unused++;
    return true;
  }
  name.untried = (name.untried + 1) % VALUES_PER_TRIAL;
  return name.untried === 0;
}
