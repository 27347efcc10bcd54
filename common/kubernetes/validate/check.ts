/**
 * Applies a schema to a JSON value: rebuilds the value with defaults, without nulls, and collects
 * issues.
 */

import { MAX_DOCUMENT_PROBLEMS } from "#common/kubernetes/limits.ts";
import type { FieldPath, Issue, Severity } from "#common/kubernetes/problem.ts";
import { suggest } from "#common/kubernetes/suggest.ts";
import { portNameCheck } from "#common/kubernetes/validate/formats.ts";
import type {
  IntegerSchema,
  ListSchema,
  MapSchema,
  ObjectSchema,
  Refusal,
  Schema,
  TextSchema,
  UnservedSchema,
} from "#common/kubernetes/validate/schema.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";

export interface Checked {
  /** Of the schema's type if no issue is an error; of no use otherwise. */
  readonly value: unknown;
  readonly issues: readonly Issue[];
}

export function checkSchema(schema: Schema, value: unknown): Checked {
  const checker = new Checker();
  const checked = checker.check(schema, value, []);
  return { value: checked, issues: checker.issues };
}

/** A value as people recognise it, cut to a bearable length. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

class Checker {
  readonly issues: Issue[] = [];
  #errors = 0;

  check(schema: Schema, value: unknown, path: FieldPath): unknown {
    switch (schema.type) {
      case "anything":
        return value;
      case "unserved":
        this.#unserved(schema, path);
        return value;
      case "text":
        return this.#text(schema, value, path);
      case "integer":
        return this.#integer(schema, value, path);
      case "port-or-name":
        return this.#portOrName(value, path);
      case "boolean":
        if (typeof value !== "boolean") this.#wrongType(path, "true or false", value);
        return value;
      case "list":
        return this.#list(schema, value, path);
      case "map":
        return this.#map(schema, value, path);
      case "object":
        return this.#object(schema, value, path);
    }
  }

  #text(schema: TextSchema, value: unknown, path: FieldPath): unknown {
    if (typeof value !== "string") {
      this.#wrongType(path, "text", value);
    } else if (schema.oneOf !== undefined && !schema.oneOf.includes(value)) {
      const near = suggest(value, schema.oneOf);
      const message = `${show(value)} is none of ${schema.oneOf.join(", ")}`;
      this.#error(path, message, near === undefined ? undefined : `did you mean ${near}?`);
    } else {
      this.#refusal(path, schema.check?.(value));
    }
    return value;
  }

  #integer(schema: IntegerSchema, value: unknown, path: FieldPath): unknown {
    if (typeof value !== "number" || !Number.isInteger(value)) {
      this.#wrongType(path, "a whole number", value);
    } else if (value < schema.min || value > schema.max) {
      this.#error(path, `${value} is not between ${schema.min} and ${schema.max}`);
    }
    return value;
  }

  #portOrName(value: unknown, path: FieldPath): unknown {
    if (typeof value === "string") this.#refusal(path, portNameCheck(value));
    else this.#integer({ type: "integer", min: 1, max: 65_535 }, value, path);
    return value;
  }

  #list(schema: ListSchema, value: unknown, path: FieldPath): unknown {
    if (!Array.isArray(value)) {
      this.#wrongType(path, "a list", value);
      return value;
    }
    const items: readonly unknown[] = value;
    if (items.length < schema.min) {
      this.#error(path, "is an empty list", "give at least one item, or remove the field");
    } else if (items.length > schema.max) {
      this.#error(path, `has ${items.length} items, more than ${schema.max}`);
      return value;
    }
    const before = this.#errors;
    const checked = items.map((item, index) => this.check(schema.item, item, [...path, index]));
    if (this.#errors === before) this.#unique(schema, checked, path);
    return checked;
  }

  #unique(schema: ListSchema, items: readonly unknown[], path: FieldPath): void {
    const unique = schema.unique as ((item: unknown) => string | undefined) | undefined;
    if (unique === undefined) return;
    const seen = new Map<string, number>();
    items.forEach((item, index) => {
      const identity = unique(item);
      if (identity === undefined) return;
      const first = seen.get(identity);
      if (first === undefined) seen.set(identity, index);
      else this.#error([...path, index], `has the same ${identity} as item ${first}`);
    });
  }

  #map(schema: MapSchema, value: unknown, path: FieldPath): unknown {
    if (!isJsonObject(value)) {
      this.#wrongType(path, "a map", value);
      return value;
    }
    const entries = Object.entries(value);
    if (entries.length < schema.min) this.#error(path, "is empty", "give at least one entry");
    const checked = entries.map(([key, item]) => {
      this.#refusal([...path, key], schema.key?.(key));
      return [key, this.check(schema.value, item, [...path, key])] as const;
    });
    return Object.fromEntries(checked);
  }

  #object(schema: ObjectSchema, value: unknown, path: FieldPath): unknown {
    if (!isJsonObject(value)) {
      this.#wrongType(path, "a map", value);
      return value;
    }
    const before = this.#errors;
    const checked: Record<string, unknown> = {};
    for (const [given, item] of Object.entries(value)) {
      const key = this.#meant(schema, given, value, path);
      const field = Object.hasOwn(schema.fields, key) ? schema.fields[key] : undefined;
      if (item === null && (!schema.strict || isNullable(field))) continue;
      if (key === "__proto__") {
        this.#error(path, "the key __proto__ is not supported");
        continue;
      }
      if (field === undefined) this.#unknownField(schema, value, key, path);
      checked[key] = field === undefined ? item : this.check(field, item, [...path, key]);
    }
    for (const [key, item] of Object.entries(schema.defaults)) checked[key] ??= item;
    this.#required(schema, checked, path);
    if (this.#errors === before) this.#together(schema, checked, path);
    return checked;
  }

  /** The field that an alias stands for, unless both are given. */
  #meant(schema: ObjectSchema, given: string, value: JsonObject, path: FieldPath): string {
    const key = Object.hasOwn(schema.aliases, given) ? schema.aliases[given] : undefined;
    if (key === undefined) return given;
    if (Object.hasOwn(value, key)) this.#error([...path, given], `is another name of ${key}`);
    return key;
  }

  #unserved({ severity, hint }: UnservedSchema, path: FieldPath): void {
    if (severity === "error") this.#error(path, "is not supported by this mesh", hint);
    else this.#add("warning", path, "is a field that nothing here reads", hint);
  }

  #unknownField(schema: ObjectSchema, value: JsonObject, key: string, path: FieldPath): void {
    const missing = Object.keys(schema.fields).filter((field) => !Object.hasOwn(value, field));
    const near = schema.unread.includes(key) ? undefined : suggest(key, missing);
    const hint = near === undefined ? undefined : `did you mean ${near}?`;
    if (schema.strict) {
      const known = `known here: ${Object.keys(schema.fields).join(", ")}`;
      this.#error([...path, key], "is an unknown field", hint ?? known);
    } else if (near !== undefined) {
      this.#add("warning", [...path, key], "is a field that nothing reads", hint);
    }
  }

  #required(schema: ObjectSchema, value: JsonObject, path: FieldPath): void {
    for (const field of schema.required) {
      if (!Object.hasOwn(value, field)) this.#error([...path, field], "is required but missing");
    }
  }

  #together(schema: ObjectSchema, value: JsonObject, path: FieldPath): void {
    const check = schema.check as ((value: JsonObject, report: unknown) => void) | undefined;
    const report = (severity: Severity, below: FieldPath, message: string, hint?: string): void =>
      this.#add(severity, [...path, ...below], message, hint);
    check?.(value, report);
  }

  #wrongType(path: FieldPath, expected: string, value: unknown): void {
    if (value === null || value === undefined) {
      this.#error(path, "has no value", `give it ${expected}, or remove the field`);
      return;
    }
    const scalar = typeof value === "number" || typeof value === "boolean";
    const hints: Record<string, string> = { "a list": `write [${show(value)}]` };
    if (scalar) hints.text = `quote it: ${show(String(value))}`;
    this.#error(path, `must be ${expected}, not ${nameType(value)}`, hints[expected]);
  }

  #refusal(path: FieldPath, refusal: Refusal | undefined): void {
    if (refusal !== undefined) this.#error(path, refusal.message, refusal.hint);
  }

  #error(path: FieldPath, message: string, hint?: string): void {
    this.#errors++;
    this.#add("error", path, message, hint);
  }

  #add(severity: Severity, path: FieldPath, message: string, hint?: string): void {
    if (severity === "error" && this.issues.length === MAX_DOCUMENT_PROBLEMS) {
      this.issues.push({ severity, path: [], message: "there are more problems in this object" });
    }
    if (this.issues.length >= MAX_DOCUMENT_PROBLEMS) return;
    this.issues.push({ severity, path, message, ...(hint === undefined ? {} : { hint }) });
  }
}

function isNullable(schema: Schema | undefined): boolean {
  return schema !== undefined && "nullable" in schema;
}

function nameType(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  if (typeof value === "string") return `the text ${show(value)}`;
  return `${typeof value === "number" ? "the number " : ""}${String(value)}`;
}
