/**
 * Reads typed fields out of parsed YAML. Everything in a file is asked for by name, so that what
 * nobody asked for, a misspelt `notPrincipal` say, is refused and not ignored. Errors are
 * MeshErrors LOCAL_XDS_INVALID with the path of the field: `workloads[2].workloadIps[0]`.
 */
import { MeshError } from "#common/runtime/errors.ts";

export class FieldReader {
  readonly path: string;
  readonly #value: unknown;

  constructor(value: unknown, path: string) {
    this.#value = value;
    this.path = path;
  }

  get isAbsent(): boolean {
    return this.#value === undefined || this.#value === null;
  }

  /** The fields of a mapping; one that is not in `known` is an error. */
  fields<Name extends string>(known: readonly Name[]): Readonly<Record<Name, FieldReader>> {
    const mapping = this.#mapping();
    const unknown = Object.keys(mapping).find(
      (name) => !(known as readonly string[]).includes(name),
    );
    if (unknown !== undefined) {
      return this.fail(`has no field ${unknown}: it has ${known.join(", ")}`);
    }
    const entries = known.map((name) => [name, new FieldReader(mapping[name], this.#at(name))]);
    return Object.fromEntries(entries) as Record<Name, FieldReader>;
  }

  /** Every entry of a mapping whose keys are data; none where it is absent. */
  entries(): readonly (readonly [key: string, value: FieldReader])[] {
    if (this.isAbsent) return [];
    return Object.entries(this.#mapping()).map(([key, value]) => [
      key,
      new FieldReader(value, this.#at(key)),
    ]);
  }

  /** The elements of a list; none where it is absent. */
  list<Value>(read: (element: FieldReader) => Value): readonly Value[] {
    if (this.isAbsent) return [];
    if (!Array.isArray(this.#value)) return this.fail("takes a list");
    return this.#value.map((value, i) => read(new FieldReader(value, `${this.path}[${i}]`)));
  }

  optional<Value>(read: (present: FieldReader) => Value): Value | undefined {
    return this.isAbsent ? undefined : read(this);
  }

  /** Text; `fallback` where the field is absent, else its absence is an error. */
  text(fallback?: string): string {
    if (typeof this.#value === "string") return this.#value;
    if (this.isAbsent && fallback !== undefined) return fallback;
    return this.fail("takes text");
  }

  boolean(fallback?: boolean): boolean {
    if (typeof this.#value === "boolean") return this.#value;
    if (this.isAbsent && fallback !== undefined) return fallback;
    return this.fail("takes true or false");
  }

  integer(max: number, fallback?: number): number {
    const value = this.#value;
    if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max) {
      return value;
    }
    if (this.isAbsent && fallback !== undefined) return fallback;
    return this.fail(`takes a whole number from 0 to ${max}`);
  }

  /** One of the words of a table. */
  choice<Value>(words: Readonly<Record<string, Value>>, fallback?: Value): Value {
    if (this.isAbsent && fallback !== undefined) return fallback;
    const word = this.text();
    const value = Object.hasOwn(words, word) ? words[word] : undefined;
    return value ?? this.fail(`takes ${Object.keys(words).join(", ")}, not ${word}`);
  }

  fail(what: string): never {
    throw new MeshError("LOCAL_XDS_INVALID", `${this.path || "the configuration"} ${what}`);
  }

  #mapping(): Readonly<Record<string, unknown>> {
    const value = this.#value;
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
    return this.fail("takes a mapping");
  }

  #at(name: string): string {
    return this.path === "" ? name : `${this.path}.${name}`;
  }
}
