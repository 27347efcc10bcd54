/**
 * Values under blocks of addresses, found by an address from the longest prefix to the shortest.
 */
import { type Cidr, type IpAddress, ipToBytes } from "#common/model/ip.ts";

export class CidrTable<Value> {
  /** By prefix length in bits, then by family and masked address. Few lengths exist at a time. */
  readonly #byLength = new Map<number, Map<string, Value[]>>();
  #lengths: number[] = [];

  get isEmpty(): boolean {
    return this.#lengths.length === 0;
  }

  add(cidr: Cidr, value: Value): void {
    let blocks = this.#byLength.get(cidr.length);
    if (blocks === undefined) {
      blocks = new Map();
      this.#byLength.set(cidr.length, blocks);
      this.#lengths = [...this.#byLength.keys()].sort((a, b) => b - a);
    }
    const key = blockKey(cidr.bytes, cidr.length);
    const values = blocks.get(key);
    if (values === undefined) blocks.set(key, [value]);
    else if (!values.includes(value)) values.push(value);
  }

  remove(cidr: Cidr, value: Value): void {
    const blocks = this.#byLength.get(cidr.length);
    const key = blockKey(cidr.bytes, cidr.length);
    const values = blocks?.get(key);
    const place = values?.indexOf(value) ?? -1;
    if (blocks === undefined || values === undefined || place < 0) return;
    values.splice(place, 1);
    if (values.length > 0) return;
    blocks.delete(key);
    if (blocks.size > 0) return;
    this.#byLength.delete(cidr.length);
    this.#lengths = [...this.#byLength.keys()].sort((a, b) => b - a);
  }

  /** The values of every block that holds the address, block by block, longest prefix first. */
  *find(ip: IpAddress): Generator<readonly Value[]> {
    if (this.#lengths.length === 0) return;
    const bytes = ipToBytes(ip);
    for (const length of this.#lengths) {
      if (length > bytes.length * 8) continue;
      const values = this.#byLength.get(length)?.get(blockKey(bytes, length));
      if (values !== undefined) yield values;
    }
  }
}

/** Family and network part, so that blocks of both families may share a length. */
function blockKey(bytes: Uint8Array, length: number): string {
  const whole = length >> 3;
  const rest = length & 7;
  const last = rest === 0 ? "" : (bytes[whole] ?? 0) & (0xff << (8 - rest));
  return `${bytes.length}:${bytes.subarray(0, whole).join(".")}/${last}`;
}
