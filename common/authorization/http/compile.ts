/**
 * One L7 policy made ready for matching. A rule is compiled when the index or a request first needs
 * it; a rule of a TCP connection has no HTTP: there an ALLOW that asks for any never matches, and a
 * DENY is held to what is left of it, which may be everything.
 */
import type { L7Authorization, L7Rule } from "#common/model/waypoint/policy.ts";
import { compareText } from "../compile.ts";
import type { RuleKeys } from "../rule-index.ts";
import {
  addressTest,
  doubtfulTest,
  type FieldTest,
  portTest,
  type TestOptions,
  textTest,
} from "./field-test.ts";
import type { RequestSpaces } from "./request-key.ts";
import type { RequestView } from "./request-view.ts";
import { SERVICE_ACCOUNT } from "./subject.ts";
import { type Attribute, conditionAttribute, OPERATION_FIELDS, SOURCE_FIELDS } from "./when.ts";

/** What rules are asked about. */
export type Layer = "http" | "connection";

/** Holds when all tests of one of the alternatives do. */
interface Clause {
  readonly alternatives: readonly (readonly FieldTest[])[];
}

export class CompiledHttpRule {
  readonly policy: L7Authorization;
  /** Index in the policy's rules. */
  readonly rule: number;
  readonly #layer: Layer;
  readonly #spaces: RequestSpaces;
  #clauses: readonly Clause[] | undefined;
  #keys: RuleKeys | undefined;

  constructor(policy: L7Authorization, rule: number, layer: Layer, spaces: RequestSpaces) {
    this.policy = policy;
    this.rule = rule;
    this.#layer = layer;
    this.#spaces = spaces;
  }

  get keys(): RuleKeys {
    this.#keys ??= this.#compiled.flatMap((clause) => {
      const keys = clauseKeys(clause);
      return keys === undefined ? [] : [keys];
    });
    return this.#keys;
  }

  matches(view: RequestView): boolean {
    for (const clause of this.#compiled) if (!clauseHolds(clause, view)) return false;
    return true;
  }

  get #compiled(): readonly Clause[] {
    if (this.#clauses !== undefined) return this.#clauses;
    const { action, rules, key } = this.policy;
    const wide = action === "deny" || action === "custom";
    const source = { rule: rules[this.rule], namespace: namespaceOf(key) };
    this.#clauses = compileClauses(source, wide, this.#spaces);
    if (this.#layer === "connection") this.#clauses = withoutHttp(this.#clauses, wide);
    return this.#clauses;
  }
}

/** The order in which rules are told of: by policy, then as written. */
export function compareHttpRules(a: CompiledHttpRule, b: CompiledHttpRule): number {
  return compareText(a.policy.key, b.policy.key) || a.rule - b.rule;
}

function clauseHolds(clause: Clause, view: RequestView): boolean {
  for (const tests of clause.alternatives) if (testsHold(tests, view)) return true;
  return false;
}

function testsHold(tests: readonly FieldTest[], view: RequestView): boolean {
  for (const test of tests) if (!test.holds(view)) return false;
  return true;
}

/** Undefined where one of the alternatives needs no particular value. */
function clauseKeys(clause: Clause): readonly string[] | undefined {
  const all: string[] = [];
  for (const tests of clause.alternatives) {
    let best: FieldTest | undefined;
    for (const test of tests) {
      if (test.keys !== undefined && test.rank < (best?.rank ?? Infinity)) best = test;
    }
    if (best?.keys === undefined) return undefined;
    all.push(...best.keys);
  }
  return all;
}

interface RuleSource {
  readonly rule: L7Rule | undefined;
  /** Of the policy: what a service account without one is in. */
  readonly namespace: string;
}

function compileClauses(
  { rule, namespace }: RuleSource,
  wide: boolean,
  spaces: RequestSpaces,
): readonly Clause[] {
  if (rule === undefined) return [];
  const compile = (fields: FieldTable, values: Values): readonly FieldTest[] =>
    compileEntry({ fields, values, namespace }, wide, spaces);
  const clauses: Clause[] = [];
  if (rule.from.length > 0) {
    clauses.push({ alternatives: rule.from.map((source) => compile(SOURCE_FIELDS, source)) });
  }
  if (rule.to.length > 0) {
    const alternatives = rule.to.map((operation) => compile(OPERATION_FIELDS, operation));
    clauses.push({ alternatives });
  }
  for (const { key, values, notValues } of rule.when) {
    const attribute = conditionAttribute(key);
    const fields: FieldTable = attribute === undefined ? {} : { value: attribute };
    const lists = { ...(values && { value: values }), ...(notValues && { notValue: notValues }) };
    clauses.push({ alternatives: [compile(fields, lists)] });
  }
  return clauses;
}

type FieldTable = Readonly<Record<string, Attribute>>;
type Values = Readonly<Record<string, readonly string[] | undefined>>;

interface EntrySource {
  readonly fields: FieldTable;
  readonly values: Values;
  readonly namespace: string;
}

/** An entry without any field, or with one that is not known, is a doubtful one. */
function compileEntry(
  { fields, values, namespace }: EntrySource,
  wide: boolean,
  spaces: RequestSpaces,
): readonly FieldTest[] {
  const tests: FieldTest[] = [];
  for (const [name, list] of Object.entries(values)) {
    if (list === undefined) continue;
    const positive = fields[name];
    const attribute = positive ?? fields[positiveName(name)];
    const options = { wide, negative: positive === undefined, spaces };
    if (attribute === undefined) tests.push(doubtfulTest(wide));
    else tests.push(compileField(attribute, list, namespace, options));
  }
  return tests.length === 0 ? [doubtfulTest(wide)] : tests;
}

/** `notPaths` is about `paths`. */
function positiveName(name: string): string {
  return name.charAt(3).toLowerCase() + name.slice(4);
}

function compileField(
  attribute: Attribute,
  values: readonly string[],
  namespace: string,
  options: TestOptions,
): FieldTest {
  switch (attribute.kind) {
    case "text":
      return textTest(attribute.subject, values, options);
    case "service-account": {
      const full = values.map((name) => (name.includes("/") ? name : `${namespace}/${name}`));
      return textTest(SERVICE_ACCOUNT, full, options);
    }
    case "address":
      return addressTest(attribute.which, values, options);
    case "port":
      return portTest(values, options);
  }
}

function withoutHttp(clauses: readonly Clause[], wide: boolean): readonly Clause[] {
  return clauses.map(({ alternatives }) => ({
    alternatives: alternatives.map((tests) =>
      tests.map((test) => (test.http ? doubtfulTest(wide) : test)),
    ),
  }));
}

function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}
