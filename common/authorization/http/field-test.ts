/**
 * One field of a rule, compiled. Where its values cannot be read, or what the request is cannot be
 * told for certain, the doubt goes against access: `wide` rules (DENY, CUSTOM) match rather more,
 * the others rather less.
 */
import { type Cidr, cidrContains, parseCidr } from "#common/model/ip.ts";
import type { RequestSpaces } from "./request-key.ts";
import { compileRequestPrincipals } from "./request-principal.ts";
import type { RequestView } from "./request-view.ts";
import { REQUEST_PRINCIPAL, type TextSubject } from "./subject.ts";
import { compileTexts, parseText } from "./text-match.ts";

export interface FieldTest {
  /** Whether it asks for something that only HTTP has. */
  readonly http: boolean;
  holds(view: RequestView): boolean;
  /** What the index files it under; undefined where it needs no particular value. */
  readonly keys: readonly string[] | undefined;
  /** The lower, the better it tells requests apart. */
  readonly rank: number;
}

export interface TestOptions {
  readonly wide: boolean;
  /** Of `not...` fields: a hit fails. */
  readonly negative: boolean;
  readonly spaces: RequestSpaces;
}

/** What is not understood: it holds for rules that narrow access and for no others. */
export function doubtfulTest(wide: boolean, http = false): FieldTest {
  return { http, rank: 99, holds: () => wide, keys: wide ? undefined : [] };
}

/** How often a positive hit, or a negative one, is enough on a mere possibility. */
function byDoubt({ wide, negative }: TestOptions): boolean {
  return wide !== negative;
}

export function textTest(
  subject: TextSubject,
  values: readonly string[],
  options: TestOptions,
): FieldTest {
  const { wide, negative, spaces } = options;
  const doubt = byDoubt(options);
  const parsed = values.map((value) => parseText(value, subject.syntax));
  const known = parsed.flatMap((matches) => matches ?? []);
  if (isBroken(parsed, doubt)) return doubtfulTest(wide, subject.http);
  const hits = textHits(subject, values, known, doubt);
  const keys = negative ? undefined : spaces.textKeys(subject, known);
  return { http: subject.http, rank: subject.rank, keys, holds: holding(hits, negative) };
}

type Hits = (view: RequestView) => boolean;

function textHits(
  subject: TextSubject,
  values: readonly string[],
  known: Parameters<typeof compileTexts>[0],
  doubt: boolean,
): Hits {
  const matches = compileTexts(known);
  if (doubt) return (view) => subject.possible(view).some(matches);
  if (subject === REQUEST_PRINCIPAL) return compileRequestPrincipals(values);
  if (!subject.every) return (view) => subject.certain(view).some(matches);
  return (view) => {
    const texts = subject.certain(view);
    return texts.length > 0 && texts.every(matches);
  };
}

/** A list that is empty or has a value that is none: told by the side that access would gain. */
function isBroken(parsed: readonly unknown[], doubt: boolean): boolean {
  return parsed.length === 0 || (doubt && parsed.includes(undefined));
}

function holding(hits: Hits, negative: boolean): Hits {
  return negative ? (view) => !hits(view) : hits;
}

export function portTest(values: readonly string[], options: TestOptions): FieldTest {
  const parsed = values.map(parsePort);
  if (isBroken(parsed, byDoubt(options))) return doubtfulTest(options.wide);
  const ports = new Set(parsed.flatMap((port) => port ?? []));
  const keys = options.negative ? undefined : options.spaces.portKeys([...ports]);
  const hits: Hits = (view) => ports.has(view.facts.destinationPort);
  return { http: false, rank: 9, keys, holds: holding(hits, options.negative) };
}

function parsePort(text: string): number | undefined {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : -1;
  return port >= 0 && port <= 65_535 ? port : undefined;
}

export function addressTest(
  which: "source" | "destination",
  values: readonly string[],
  options: TestOptions,
): FieldTest {
  const doubt = byDoubt(options);
  const parsed = values.map(parseBlock);
  if (isBroken(parsed, doubt)) return doubtfulTest(options.wide);
  const blocks = parsed.flatMap((block) => block ?? []);
  const inBlocks = (bytes: Uint8Array): boolean => blocks.some((b) => cidrContains(b, bytes));
  const hits: Hits = (view) => {
    if (which === "source") return inBlocks(view.sourceBytes);
    const all = view.destinationBytes;
    if (doubt) return all.length === 0 || all.some(inBlocks);
    return all.length > 0 && all.every(inBlocks);
  };
  const indexed = which === "source" && !options.negative;
  const keys = indexed ? options.spaces.sourceKeys(blocks) : undefined;
  return { http: false, rank: 8, keys, holds: holding(hits, options.negative) };
}

/** "::ffff:10.0.0.0/24" is a block of nearly all IPv6 addresses: nobody means it. */
function parseBlock(text: string): Cidr | undefined {
  const block = parseCidr(text);
  return text.includes(":") && text.includes("/") && block?.bytes.length === 4 ? undefined : block;
}
