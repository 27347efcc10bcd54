/**
 * The words in which the shape of a kind is declared. A schema is plain data (plus small functions
 * for what data cannot say); `check.ts` applies it.
 */
import type { FieldPath, Severity } from "#common/kubernetes/problem.ts";

/** Why a text is not acceptable. */
export interface Refusal {
  readonly message: string;
  readonly hint?: string;
}

/** Undefined means: fine. */
export type TextCheck = (text: string) => Refusal | undefined;

/** `path` is relative to the object that is checked. */
export type Report = (
  severity: Severity,
  path: FieldPath,
  message: string,
  hint?: string | undefined,
) => void;

export interface TextSchema {
  readonly type: "text";
  readonly oneOf?: readonly string[];
  readonly check?: TextCheck;
}

export interface IntegerSchema {
  readonly type: "integer";
  readonly min: number;
  readonly max: number;
  /** As in BooleanSchema. */
  readonly nullable?: true;
}

/** A port as Kubernetes writes it where either form will do: a number or a name. */
export interface PortOrNameSchema {
  readonly type: "port-or-name";
}

export interface BooleanSchema {
  readonly type: "boolean";
  /** Null is taken as absent, even in a strict object: Istio's CRDs allow it for this field. */
  readonly nullable?: true;
}

/** A field of Istio's that nothing here reads: whoever gives it is told so. */
export interface UnservedSchema {
  readonly type: "unserved";
  /** An error where leaving it out would let through what its writer meant to stop. */
  readonly severity: Severity;
  /** What to write instead. */
  readonly hint: string | undefined;
}

export interface ListSchema {
  readonly type: "list";
  readonly item: Schema;
  readonly min: number;
  readonly max: number;
  /** Two items for which this gives the same text are an error; undefined is never the same. */
  readonly unique?: (item: never) => string | undefined;
}

export interface MapSchema {
  readonly type: "map";
  readonly value: Schema;
  readonly key?: TextCheck;
  readonly min: number;
}

export interface ObjectSchema {
  readonly type: "object";
  readonly fields: Readonly<Record<string, Schema>>;
  readonly required: readonly string[];
  /**
   * Strict objects refuse unknown fields and nulls; others pass them by and treat null as absent.
   */
  readonly strict: boolean;
  /** Other spellings that Istio takes, with the field that each of them means. */
  readonly aliases: Readonly<Record<string, string>>;
  /** Real fields that nothing reads but that look like misspellings of fields that are read. */
  readonly unread: readonly string[];
  /** For fields that are missing or null. */
  readonly defaults: Readonly<Record<string, unknown>>;
  /** Looks at several fields together; called only when each of them alone is fine. */
  readonly check?: (value: never, report: Report) => void;
}

export type Schema =
  | TextSchema
  | IntegerSchema
  | PortOrNameSchema
  | BooleanSchema
  | ListSchema
  | MapSchema
  | ObjectSchema
  | UnservedSchema
  | { readonly type: "anything"; readonly nullable?: true };

export const anything: Schema = { type: "anything" };
export const nullableAnything: Schema = { type: "anything", nullable: true };
export const boolean: Schema = { type: "boolean" };
export const nullableBoolean: Schema = { type: "boolean", nullable: true };
export const portOrName: Schema = { type: "port-or-name" };
/** A TCP or UDP port that can be named: 1 to 65535. */
export const port: Schema = { type: "integer", min: 1, max: 65_535 };

export function text(check?: TextCheck): Schema {
  return check === undefined ? { type: "text" } : { type: "text", check };
}

export function oneOf(...values: readonly string[]): Schema {
  return { type: "text", oneOf: values };
}

export function integer(min: number, max: number = 2 ** 31 - 1): Schema {
  return { type: "integer", min, max };
}

export function nullableInteger(min: number, max: number = 2 ** 31 - 1): Schema {
  return { type: "integer", min, max, nullable: true };
}

export function list<Item>(
  item: Schema,
  options: { min?: number; max?: number; unique?: (item: Item) => string | undefined } = {},
): Schema {
  const { min = 0, max = 10_000, unique } = options;
  return { type: "list", item, min, max, ...(unique === undefined ? {} : { unique }) };
}

export function map(value: Schema, key?: TextCheck, min = 0): Schema {
  return { type: "map", value, min, ...(key === undefined ? {} : { key }) };
}

export function unserved(severity: Severity, hint?: string): Schema {
  return { type: "unserved", severity, hint };
}

interface ObjectOptions<Value> {
  readonly aliases?: Readonly<Record<string, string>>;
  readonly required?: readonly string[];
  readonly unread?: readonly string[];
  readonly defaults?: Readonly<Record<string, unknown>>;
  readonly check?: (value: Value, report: Report) => void;
}

/** An object of a kind of which only the fields that something reads are declared. */
export function object<Value>(
  fields: Readonly<Record<string, Schema>>,
  options: ObjectOptions<Value> = {},
): Schema {
  return objectSchema(fields, options, false);
}

/** An object all of whose fields are declared: anything else is an error. */
export function strictObject<Value>(
  fields: Readonly<Record<string, Schema>>,
  options: ObjectOptions<Value> = {},
): Schema {
  return objectSchema(fields, options, true);
}

function objectSchema<Value>(
  fields: Readonly<Record<string, Schema>>,
  options: ObjectOptions<Value>,
  strict: boolean,
): Schema {
  const { required = [], unread = [], defaults = {}, aliases = {}, check } = options;
  const base = { type: "object", fields, required, strict, aliases, unread, defaults } as const;
  return check === undefined ? base : { ...base, check };
}
