/**
 * Reads one rule of an AuthorizationPolicy as far as ztunnel can enforce it, and finds everything
 * that it cannot: what is invalid, and what needs a waypoint. What then becomes of the rule is
 * convert-rule.ts's. The input is read as unknown: a folder of YAML holds what people type.
 */
import { EMPTY_MATCH, type Match } from "#common/model/authorization.ts";
import {
  CONDITION_KEYS,
  isL7Condition,
  isNegative,
  L7_FIELDS,
  type MatchField,
  OPERATION_FIELDS,
  parserOf,
  SOURCE_FIELDS,
} from "./fields.ts";

/** Something in a rule that ztunnel cannot enforce as written. */
export interface Finding {
  readonly kind: "invalid" | "http" | "inert";
  readonly field: string;
  readonly value: unknown;
  readonly problem: string;
  /** The entry it was found in; absent for the rule itself. */
  readonly entry?: Entry;
}

/** One `source`, `operation` or `when` condition. */
export interface Entry {
  readonly match: Match;
  /** Whether `match` has a field. */
  readonly constrained: boolean;
  /** Whether a part was invalid, and is not in `match`. */
  readonly broken: boolean;
  /** Whether a part needs a waypoint, and is not in `match`. */
  readonly http: boolean;
}

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

export interface RuleSource {
  readonly rule: unknown;
  /** `rules[0]`. */
  readonly path: string;
  readonly policyNamespace: string;
}

type Fields = Record<string, unknown>;

export function parseRule(source: RuleSource): ParsedRule {
  const parser = new RuleParser(source.policyNamespace);
  if (!isObject(source.rule)) {
    const finding = invalid(source.path, source.rule, "a rule is an object; write {} to match all");
    return { when: [], broken: true, findings: [finding] };
  }
  return parser.parse(source.rule, source.path);
}

class RuleParser {
  readonly #findings: Finding[] = [];
  readonly #namespace: string;

  constructor(policyNamespace: string) {
    this.#namespace = policyNamespace;
  }

  parse(rule: Fields, path: string): ParsedRule {
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

  /** Absent, null and empty lists say nothing: protobuf, and so Istio, cannot tell them apart. */
  #entries(
    list: unknown,
    path: string,
    parse: (entry: unknown, path: string) => Entry,
  ): readonly Entry[] | undefined {
    if (list === undefined || list === null) return undefined;
    if (!Array.isArray(list)) {
      this.#findings.push(invalid(path, list, "this is a list"));
      return undefined;
    }
    return list.length === 0 ? undefined : list.map((entry, i) => parse(entry, `${path}[${i}]`));
  }

  /** A `from` or `to` entry: an object that holds one `source` or `operation`. */
  #peer(entry: unknown, path: string, name: "source" | "operation"): Entry {
    const builder = new EntryBuilder(this.#namespace);
    const fields = isObject(entry) ? entry[name] : undefined;
    if (isObject(entry)) builder.unknownFields(entry, path, [name]);
    if (!isObject(fields)) builder.invalid(`${path}.${name}`, fields, "this must be an object");
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
    const builder = new EntryBuilder(this.#namespace);
    if (!isObject(entry)) builder.invalid(path, entry, "a condition is an object");
    else {
      builder.unknownFields(entry, path, ["key", "values", "notValues"]);
      const key = typeof entry.key === "string" ? entry.key : "";
      const targets = CONDITION_KEYS.get(key);
      if (targets !== undefined) {
        builder.values(targets[0], entry.values, `${path}.values`);
        builder.values(targets[1], entry.notValues, `${path}.notValues`);
      } else if (isL7Condition(key)) builder.http(`${path}.key`, key);
      else builder.invalid(`${path}.key`, entry.key, "no such condition key");
    }
    return builder.finish(path, this.#findings);
  }

  #unknownFields(object: Fields, path: string, known: readonly string[]): void {
    for (const [field, value] of unknownFields(object, known)) {
      this.#findings.push(invalid(`${path}.${field}`, value, "no such field"));
    }
  }
}

/** Gathers one entry's match and findings. */
class EntryBuilder {
  readonly #namespace: string;
  readonly #fields = new Map<MatchField, readonly unknown[]>();
  readonly #findings: Omit<Finding, "entry">[] = [];

  constructor(policyNamespace: string) {
    this.#namespace = policyNamespace;
  }

  invalid(field: string, value: unknown, problem: string): void {
    this.#findings.push(invalid(field, value, problem));
  }

  http(field: string, value: unknown): void {
    if (isAbsent(value)) return;
    this.#findings.push({ kind: "http", field, value, problem: "ztunnel does not read HTTP" });
  }

  unknownFields(object: Fields, path: string, known: readonly string[]): void {
    for (const [field, value] of unknownFields(object, known)) {
      this.invalid(`${path}.${field}`, value, "no such field");
    }
  }

  /**
   * Fills a list of the match. An invalid value leaves a `not...` list without it, which then
   * excludes less; a positive list is left out as a whole, since without the value it would ask for
   * something else.
   */
  values(target: MatchField, list: unknown, path: string): void {
    if (isAbsent(list)) return;
    if (!Array.isArray(list)) {
      this.invalid(path, list, "this is a list");
      return;
    }
    const parse = parserOf(target);
    const parsed: unknown[] = [];
    list.forEach((text: unknown, i) => {
      const result =
        typeof text === "string"
          ? parse(text, this.#namespace)
          : ({ kind: "broken", problem: "write a string, in quotes" } as const);
      if (result.kind !== "value") {
        const kind = result.kind === "inert" ? "inert" : "invalid";
        this.#findings.push({ kind, field: `${path}[${i}]`, value: text, problem: result.problem });
      }
      if (result.kind !== "broken") parsed.push(result.value);
    });
    const whole = parsed.length === list.length;
    if (parsed.length > 0 && (whole || isNegative(target))) this.#fields.set(target, parsed);
  }

  finish(path: string, findings: Finding[]): Entry {
    const constrained = this.#fields.size > 0;
    if (!constrained && this.#findings.length === 0) this.invalid(path, {}, "nothing is set here");
    const entry: Entry = {
      match: { ...EMPTY_MATCH, ...Object.fromEntries(this.#fields) },
      constrained,
      broken: this.#findings.some((finding) => finding.kind === "invalid"),
      http: this.#findings.some((finding) => finding.kind === "http"),
    };
    for (const finding of this.#findings) findings.push({ ...finding, entry });
    return entry;
  }
}

export function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Fields that are set and not among the known ones. */
export function unknownFields(object: Fields, known: readonly string[]): [string, unknown][] {
  return Object.entries(object).filter(
    ([field, value]) => !known.includes(field) && value !== null,
  );
}

function isAbsent(list: unknown): boolean {
  return list === undefined || list === null || (Array.isArray(list) && list.length === 0);
}

function invalid(field: string, value: unknown, problem: string): Finding {
  return { kind: "invalid", field, value: value ?? null, problem };
}
