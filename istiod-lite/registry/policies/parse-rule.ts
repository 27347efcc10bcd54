/**
 * Reads one rule of an AuthorizationPolicy as far as ztunnel can enforce it, and finds everything
 * that it cannot: what is invalid, and what needs a waypoint. What then becomes of the rule is
 * convert-rule.ts's. The input is read as unknown: a folder of YAML holds what people type.
 */
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";
import {
  CONDITION_KEYS,
  isL7Condition,
  L7_FIELDS,
  OPERATION_FIELDS,
  SOURCE_FIELDS,
} from "./fields.ts";
import {
  EMPTY_LIST,
  type Entry,
  EntryBuilder,
  type EntrySource,
  type Finding,
  invalid,
  unknownFields,
} from "./rule-entry.ts";

export interface ParsedRule {
  /** Absent when the rule does not say; its entries are OR'd. */
  readonly from?: readonly Entry[];
  readonly to?: readonly Entry[];
  /** AND'd. */
  readonly when: readonly Entry[];
  /** Whether a part outside of every entry was invalid. */
  readonly broken: boolean;
  readonly findings: readonly Finding[];
}

export interface RuleSource extends EntrySource {
  readonly rule: unknown;
  /** `rules[0]`. */
  readonly path: string;
}

export function parseRule(source: RuleSource): ParsedRule {
  const parser = new RuleParser(source);
  if (!isJsonObject(source.rule)) {
    const finding = invalid(source.path, source.rule, "a rule is an object; write {} to match all");
    return { when: [], broken: true, findings: [finding] };
  }
  return parser.parse(source.rule, source.path);
}

class RuleParser {
  readonly #findings: Finding[] = [];
  readonly #source: RuleSource;

  constructor(source: RuleSource) {
    this.#source = source;
  }

  parse(rule: JsonObject, path: string): ParsedRule {
    this.#unknownFields(rule, path, ["from", "to", "when"]);
    const from = this.#entries(rule.from, `${path}.from`, (entry, at) =>
      this.#peer(entry, at, "source"),
    );
    const to = this.#entries(rule.to, `${path}.to`, (entry, at) =>
      this.#peer(entry, at, "operation"),
    );
    const when = this.#entries(rule.when, `${path}.when`, (entry, at) =>
      this.#condition(entry, at),
    );
    const broken = this.#findings.some((finding) => finding.entry === undefined);
    return {
      ...(from && { from }),
      ...(to && { to }),
      when: when ?? [],
      broken,
      findings: this.#findings,
    };
  }

  /** Absent and null say nothing; an empty list is a mistake that must not match everything. */
  #entries(
    list: unknown,
    path: string,
    parse: (entry: unknown, path: string) => Entry,
  ): readonly Entry[] | undefined {
    if (list === undefined || list === null) return undefined;
    if (Array.isArray(list) && list.length > 0) {
      return list.map((entry, i) => parse(entry, `${path}[${i}]`));
    }
    this.#findings.push(invalid(path, list, Array.isArray(list) ? EMPTY_LIST : "this is a list"));
    return undefined;
  }

  /** A `from` or `to` entry: an object that holds one `source` or `operation`. */
  #peer(entry: unknown, path: string, name: "source" | "operation"): Entry {
    const builder = new EntryBuilder(this.#source);
    const fields = isJsonObject(entry) ? entry[name] : undefined;
    if (isJsonObject(entry)) builder.unknownFields(entry, path, [name]);
    if (!isJsonObject(fields)) builder.invalid(`${path}.${name}`, fields, "this must be an object");
    else {
      const known = name === "source" ? SOURCE_FIELDS : OPERATION_FIELDS;
      for (const [field, values] of Object.entries(fields)) {
        const at = `${path}.${name}.${field}`;
        const target = known.get(field);
        if (target !== undefined) builder.values(target, values, at);
        else if (L7_FIELDS[name].has(field)) builder.http(at, values);
        else builder.invalid(at, values, "no such field");
      }
    }
    return builder.finish(`${path}.${name}`, this.#findings);
  }

  #condition(entry: unknown, path: string): Entry {
    const builder = new EntryBuilder(this.#source);
    if (!isJsonObject(entry)) builder.invalid(path, entry, "a condition is an object");
    else {
      builder.unknownFields(entry, path, ["key", "values", "notValues"]);
      const key = typeof entry.key === "string" ? entry.key : "";
      const targets = CONDITION_KEYS.get(key);
      if (targets !== undefined) {
        builder.values(targets[0], entry.values, `${path}.values`);
        builder.values(targets[1], entry.notValues, `${path}.notValues`);
      } else if (isL7Condition(key)) {
        builder.http(`${path}.key`, key);
        for (const list of ["values", "notValues"])
          builder.refuseEmpty(`${path}.${list}`, entry[list]);
      } else builder.invalid(`${path}.key`, entry.key, "no such condition key");
    }
    return builder.finish(path, this.#findings);
  }

  #unknownFields(object: JsonObject, path: string, known: readonly string[]): void {
    for (const [field, value] of unknownFields(object, known)) {
      this.#findings.push(invalid(`${path}.${field}`, value, "no such field"));
    }
  }
}
