/**
 * One `source`, `operation` or `when` condition of a rule: the match it comes to, and everything in
 * it that ztunnel cannot enforce.
 */

import { EMPTY_MATCH, type Match } from "#common/model/authorization.ts";
import type { JsonObject } from "#common/runtime/json-object.ts";
import { isNegative, type MatchField, parserOf } from "./fields.ts";
import { expandPrincipal, type TrustDomains } from "./trust-domains.ts";
import { type Parsed, withoutScheme } from "./values.ts";

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

export interface EntrySource {
  readonly policyNamespace: string;
  readonly trustDomains: TrustDomains;
}

/**
 * protobuf, and so Istio, takes it for an absent one: what was to name somebody names everybody.
 */
export const EMPTY_LIST = "the list is empty: leave it out, or list something";

/** Gathers one entry's match and findings. */
export class EntryBuilder {
  readonly #source: EntrySource;
  readonly #fields = new Map<MatchField, readonly unknown[]>();
  readonly #findings: Omit<Finding, "entry">[] = [];

  constructor(source: EntrySource) {
    this.#source = source;
  }

  invalid(field: string, value: unknown, problem: string): void {
    this.#findings.push(invalid(field, value, problem));
  }

  /** Whether the value is a list with nothing in it. */
  refuseEmpty(field: string, value: unknown): boolean {
    if (isEmptyList(value)) this.invalid(field, value, EMPTY_LIST);
    return isEmptyList(value);
  }

  http(field: string, value: unknown): void {
    if (isAbsent(value) || this.refuseEmpty(field, value)) return;
    this.#findings.push({ kind: "http", field, value, problem: "ztunnel does not read HTTP" });
  }

  unknownFields(object: JsonObject, path: string, known: readonly string[]): void {
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
    if (!Array.isArray(list) || list.length === 0) {
      this.invalid(path, list, isEmptyList(list) ? EMPTY_LIST : "this is a list");
      return;
    }
    const parsed: unknown[] = [];
    let whole = true;
    list.forEach((text: unknown, i) => {
      for (const result of this.#parse(target, text)) {
        if (result.kind !== "value") {
          const kind = result.kind === "inert" ? "inert" : "invalid";
          const { problem } = result;
          this.#findings.push({ kind, field: `${path}[${i}]`, value: text, problem });
        }
        if (result.kind === "broken") whole = false;
        else parsed.push(result.value);
      }
    });
    if (parsed.length > 0 && (whole || isNegative(target))) this.#fields.set(target, parsed);
  }

  /** One result, or one for each trust domain that a principal stands for. */
  #parse(target: MatchField, text: unknown): readonly Parsed<unknown>[] {
    if (typeof text !== "string") return [{ kind: "broken", problem: "write a string, in quotes" }];
    const { policyNamespace, trustDomains } = this.#source;
    const parse = parserOf(target);
    if (target !== "principals" && target !== "notPrincipals")
      return [parse(text, policyNamespace)];
    const written = expandPrincipal(withoutScheme(text), trustDomains);
    return written.map((principal) => parse(principal, policyNamespace));
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

/** JsonObject that are set and not among the known ones. */
export function unknownFields(object: JsonObject, known: readonly string[]): [string, unknown][] {
  return Object.entries(object).filter(
    ([field, value]) => !known.includes(field) && value !== null,
  );
}

function isAbsent(list: unknown): list is undefined | null {
  return list === undefined || list === null;
}

function isEmptyList(list: unknown): boolean {
  return Array.isArray(list) && list.length === 0;
}

export function invalid(field: string, value: unknown, problem: string): Finding {
  return { kind: "invalid", field, value: value ?? null, problem };
}
