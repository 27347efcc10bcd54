/**
 * The header fields of one message, in order, as a flat list of lower-case names and values: what
 * HTTP/1.1 and HTTP/2 both can carry. Pseudo-header fields are not among them.
 */
export class HeaderList {
  readonly #flat: string[];

  /** Takes the list over: name, value, name, value; the names in lower case already. */
  constructor(flat: string[] = []) {
    this.#flat = flat;
  }

  /** Name, value, name, value. Not to be changed. */
  get flat(): readonly string[] {
    return this.#flat;
  }

  get size(): number {
    return this.#flat.length / 2;
  }

  /** The first value. */
  get(name: string): string | undefined {
    const flat = this.#flat;
    for (let i = 0; i < flat.length; i += 2) if (flat[i] === name) return flat[i + 1];
    return undefined;
  }

  getAll(name: string): readonly string[] {
    const flat = this.#flat;
    const found: string[] = [];
    for (let i = 0; i < flat.length; i += 2) if (flat[i] === name) found.push(flat[i + 1] ?? "");
    return found;
  }

  /** All values as one, as RFC 9110 5.3 combines them; undefined where there is none. */
  combined(name: string): string | undefined {
    const all = this.getAll(name);
    return all.length === 0 ? undefined : all.join(",");
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  append(name: string, value: string): void {
    this.#flat.push(name, value);
  }

  /** Replaces all values; the place of the first is kept. */
  set(name: string, value: string): void {
    const flat = this.#flat;
    for (let i = 0; i < flat.length; i += 2) {
      if (flat[i] !== name) continue;
      flat[i + 1] = value;
      this.#removeFrom(i + 2, name);
      return;
    }
    flat.push(name, value);
  }

  delete(name: string): void {
    this.#removeFrom(0, name);
  }

  clone(): HeaderList {
    return new HeaderList([...this.#flat]);
  }

  *entries(): Generator<readonly [name: string, value: string]> {
    const flat = this.#flat;
    for (let i = 0; i < flat.length; i += 2) yield [flat[i] ?? "", flat[i + 1] ?? ""];
  }

  #removeFrom(start: number, name: string): void {
    const flat = this.#flat;
    let to = start;
    for (let from = start; from < flat.length; from += 2) {
      if (flat[from] === name) continue;
      flat[to] = flat[from] ?? "";
      flat[to + 1] = flat[from + 1] ?? "";
      to += 2;
    }
    flat.length = to;
  }
}
