/**
 * Shapes: what a value that came over a wire has to look like, and the type that it then has. One
 * declaration is both, so that neither can say what the other does not. Strict: an unknown field is
 * refused, for it might have narrowed what the known ones allow.
 */
/** Where a value is not what it has to be, and why. */
export class ShapeError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ShapeError";
  }
}

export interface Shape<Value> {
  /** The value itself, unchanged. Throws ShapeError. */
  readonly parse: (value: unknown, path: string) => Value;
  /** Whether an object may go without it. */
  readonly optional?: true;
}

/** The type of the values of a shape. */
export type Of<S> = S extends Shape<infer Value> ? Value : never;

type Fields = Readonly<Record<string, Shape<unknown>>>;
type OptionalKeys<F extends Fields> = {
  [K in keyof F]: F[K] extends { readonly optional: true } ? K : never;
}[keyof F];
type ObjectOf<F extends Fields> = {
  readonly [K in Exclude<keyof F, OptionalKeys<F>>]: Of<F[K]>;
} & { readonly [K in OptionalKeys<F>]?: Of<F[K]> };

export const text: Shape<string> = { parse: (v, path) => typed(v, path, "string") };
export const boolean: Shape<boolean> = { parse: (v, path) => typed(v, path, "boolean") };

/** A finite number of at least `min` and at most `max`. */
export function number(min = 0, max = Number.MAX_SAFE_INTEGER): Shape<number> {
  return { parse: (v, path) => inRange(typed(v, path, "number"), min, max, path) };
}

export function integer(min = 0, max = Number.MAX_SAFE_INTEGER): Shape<number> {
  return {
    parse: (v, path) => {
      if (!Number.isInteger(v)) throw refused(path, "must be an integer", v);
      return inRange(typed(v, path, "number"), min, max, path);
    },
  };
}

export function oneOf<const Values extends readonly (string | number)[]>(
  ...values: Values
): Shape<Values[number]> {
  return {
    parse: (v, path) => {
      const found = values.find((value) => value === v);
      if (found === undefined) throw refused(path, `must be one of ${values.join(", ")}`, v);
      return found;
    },
  };
}

export function list<Item>(item: Shape<Item>): Shape<readonly Item[]> {
  return {
    parse: (v, path) => {
      if (!Array.isArray(v)) throw refused(path, "must be a list", v);
      for (const [i, element] of v.entries()) item.parse(element, `${path}[${i}]`);
      return v;
    },
  };
}

/** Values by a key of the sender's choice. */
export function map<Value>(value: Shape<Value>): Shape<Readonly<Record<string, Value>>> {
  return {
    parse: (v, path) => {
      const record = asRecord(v, path);
      for (const key of Object.keys(record)) value.parse(record[key], `${path}.${key}`);
      return record as Readonly<Record<string, Value>>;
    },
  };
}

export function optional<Value>(shape: Shape<Value>): Shape<Value> & { readonly optional: true } {
  return { parse: shape.parse, optional: true };
}

export function object<const F extends Fields>(fields: F): Shape<ObjectOf<F>> {
  return {
    parse: (v, path) => {
      const record = asRecord(v, path);
      for (const key of Object.keys(record)) {
        if (!Object.hasOwn(fields, key)) throw refused(`${path}.${key}`, "is not known", v);
      }
      for (const [key, shape] of Object.entries(fields)) {
        const value = record[key];
        if (value !== undefined) shape.parse(value, `${path}.${key}`);
        else if (!shape.optional) throw refused(`${path}.${key}`, "is missing", v);
      }
      // Each field has just been found to be what the type says.
      return record as ObjectOf<F>;
    },
  };
}

/** One of several shapes, told apart by the value of their field `kind`. */
export function union<const Kinds extends Readonly<Record<string, Shape<unknown>>>>(
  kinds: Kinds,
): Shape<Of<Kinds[keyof Kinds]>> {
  return {
    parse: (v, path) => {
      const { kind } = asRecord(v, path);
      const shape =
        typeof kind === "string" && Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
      if (shape === undefined) {
        const known = Object.keys(kinds).join(", ");
        throw refused(`${path}.kind`, `must be one of ${known}`, kind);
      }
      return shape.parse(v, path) as Of<Kinds[keyof Kinds]>;
    },
  };
}

function asRecord(v: unknown, path: string): Record<string, unknown> {
  if (typeof v !== "object" || v === null || Array.isArray(v)) {
    throw refused(path, "must be an object", v);
  }
  return v as Record<string, unknown>;
}

interface Typed {
  string: string;
  boolean: boolean;
  number: number;
}

function typed<T extends keyof Typed>(v: unknown, path: string, type: T): Typed[T] {
  if (typeof v !== type) throw refused(path, `must be a ${type}`, v);
  return v as Typed[T];
}

function inRange(v: number, min: number, max: number, path: string): number {
  if (v >= min && v <= max) return v;
  throw refused(path, `must be between ${min} and ${max}`, v);
}

const SHOWN_CHARACTERS = 80;

function refused(path: string, why: string, value: unknown): ShapeError {
  const shown = (JSON.stringify(value) ?? "nothing").slice(0, SHOWN_CHARACTERS);
  return new ShapeError(`${path} ${why}, but is ${shown}`);
}
