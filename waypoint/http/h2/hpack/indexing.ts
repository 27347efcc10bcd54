/** Which fields go into the table, and which nobody may ever put into one (RFC 7541 7.1). */
import { STATIC_NAMES, STATIC_VALUES } from "./static-table.ts";

/**
 * How a field is sent that is in no table yet. `never`: as one that no other hop may index either,
 * so that nobody finds out secrets by what compresses well.
 */
export type Indexing = "indexed" | "plain" | "never";

/** A cookie shorter than this could be guessed by trying; a longer one is worth its place. */
const GUESSABLE_COOKIE_CHARACTERS = 20;

/** A path that says more than this behind its question mark is hardly asked for again. */
const REPEATED_QUERY_CHARACTERS = 24;

const SECRETS = ["authorization", "proxy-authorization", "set-cookie"];

/** What differs from message to message. Of other names it is noticed when their values do. */
const FLEETING = `age b3 content-length content-range etag expires grpc-timeout idempotency-key
  if-match if-modified-since if-none-match if-range if-unmodified-since last-modified range
  retry-after server-timing traceparent tracestate x-b3-parentspanid x-b3-spanid x-b3-traceid
  x-correlation-id x-envoy-upstream-service-time x-request-id`.split(/\s+/);

/** What is known of a name before any connection. */
export interface KnownName {
  /** In the static table; 0 where it is not. */
  readonly index: number;
  /** Its values in the static table. */
  readonly values: ReadonlyMap<string, number> | undefined;
  readonly indexing: Indexing | "cookie" | "path";
}

const UNKNOWN: KnownName = { index: 0, values: undefined, indexing: "indexed" };

/** A bounded set: only names of this folder are in it, whatever is sent. */
const KNOWN = knownNames();

function knownNames(): Map<string, KnownName> {
  const known = new Map<string, KnownName>();
  for (const name of [...STATIC_NAMES.slice(1), ...FLEETING]) {
    if (known.has(name)) continue;
    // The first of several is the one whose index serves for the name alone.
    const index = Math.max(0, STATIC_NAMES.indexOf(name));
    known.set(name, { index, values: staticValues(name), indexing: indexingOf(name) });
  }
  return known;
}

function staticValues(name: string): Map<string, number> | undefined {
  const values = new Map<string, number>();
  STATIC_VALUES.forEach((value, index) => {
    if (value !== "" && STATIC_NAMES[index] === name) values.set(value, index);
  });
  return values.size === 0 ? undefined : values;
}

function indexingOf(name: string): KnownName["indexing"] {
  if (SECRETS.includes(name)) return "never";
  if (FLEETING.includes(name)) return "plain";
  if (name === "cookie") return "cookie";
  return name === ":path" ? "path" : "indexed";
}

export function knownName(name: string): KnownName {
  return KNOWN.get(name) ?? UNKNOWN;
}

/** `indexed`: if it is worth a place. */
export function indexingFor({ indexing }: KnownName, value: string): Indexing {
  if (indexing === "cookie") {
    return value.length < GUESSABLE_COOKIE_CHARACTERS ? "never" : "indexed";
  }
  if (indexing === "path") return hasLongQuery(value) ? "plain" : "indexed";
  return indexing;
}

function hasLongQuery(path: string): boolean {
  if (path.length <= REPEATED_QUERY_CHARACTERS) return false;
  const query = path.indexOf("?");
  return query >= 0 && path.length - query > REPEATED_QUERY_CHARACTERS;
}
