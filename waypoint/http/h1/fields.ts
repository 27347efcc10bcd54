/**
 * The header fields of one message as llhttp gave them, sorted into what is passed on and what
 * says how the message is framed and whether the connection goes on.
 */
import { HeaderList } from "../header-list.ts";
import { fieldName, mayTrail } from "./field-names.ts";

/** What a message's head says besides what is passed on. */
export interface SortedFields {
  /** Lower-case names and values, to be passed on. */
  readonly flat: string[];
  host: string | undefined;
  /** -1: none. */
  contentLength: number;
  chunked: boolean;
  /** Options of Connection. */
  close: boolean;
  keepAlive: boolean;
  upgradeOption: boolean;
  /** The field Upgrade, its values joined. */
  upgrade: string | undefined;
  expectsContinue: boolean;
  /** Why the message must not be taken. */
  fault: string | undefined;
}

/** Fields are pairs in `raw`. */
export function sortFields(raw: readonly string[]): SortedFields {
  const sorted: SortedFields = {
    flat: [],
    host: undefined,
    contentLength: -1,
    chunked: false,
    close: false,
    keepAlive: false,
    upgradeOption: false,
    upgrade: undefined,
    expectsContinue: false,
    fault: undefined,
  };
  let named: string[] | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const { name, role } = fieldName(raw[i] ?? "");
    const value = raw[i + 1] ?? "";
    if (role === "end-to-end") sorted.flat.push(name, value);
    else if (role === "connection") named = connectionOptions(sorted, value, named);
    else readField(sorted, { name, role }, value);
  }
  if (named !== undefined) dropNamed(sorted.flat, named);
  return sorted;
}

function readField(
  sorted: SortedFields,
  { name, role }: ReturnType<typeof fieldName>,
  value: string,
): void {
  switch (role) {
    case "host":
      if (sorted.host !== undefined) sorted.fault ??= "more than one Host";
      sorted.host = value;
      return;
    case "content-length":
      readContentLength(sorted, value);
      return;
    case "transfer-encoding":
      if (sorted.chunked) sorted.fault ??= "more than one Transfer-Encoding";
      if (value.length !== 7 || value.toLowerCase() !== "chunked") {
        sorted.fault ??= "a Transfer-Encoding other than chunked";
      }
      sorted.chunked = true;
      return;
    case "upgrade":
      sorted.upgrade = sorted.upgrade === undefined ? value : `${sorted.upgrade}, ${value}`;
      return;
    case "te":
      if (/(^|,)[ \t]*trailers[ \t]*($|[,;])/i.test(value)) sorted.flat.push("te", "trailers");
      return;
    case "expect":
      if (value.toLowerCase() === "100-continue") sorted.expectsContinue = true;
      sorted.flat.push(name, value);
      return;
    case "look-alike":
      sorted.fault ??= `${name}, which is mistaken for a framing field`;
      return;
    default:
  }
}

/** RFC 9112 6.3: digits only, once, and no number that two readers could read differently. */
function readContentLength(sorted: SortedFields, value: string): void {
  if (sorted.contentLength >= 0) sorted.fault ??= "more than one Content-Length";
  const bytes = /^\d{1,19}$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(bytes)) sorted.fault ??= "a Content-Length that is no length";
  sorted.contentLength = bytes;
}

/** Returns the fields that Connection names, if any (RFC 9110 7.6.1). */
function connectionOptions(
  sorted: SortedFields,
  value: string,
  named: string[] | undefined,
): string[] | undefined {
  const names = named ?? [];
  for (const part of value.split(",")) {
    const option = part.trim().toLowerCase();
    if (option === "close") sorted.close = true;
    else if (option === "keep-alive") sorted.keepAlive = true;
    else if (option === "upgrade") sorted.upgradeOption = true;
    else if (option !== "" && option !== "te") names.push(option);
  }
  return names.length === 0 ? undefined : names;
}

function dropNamed(flat: string[], named: readonly string[]): void {
  const names = new Set(named);
  let to = 0;
  for (let from = 0; from < flat.length; from += 2) {
    const name = flat[from] ?? "";
    if (names.has(name)) continue;
    flat[to] = name;
    flat[to + 1] = flat[from + 1] ?? "";
    to += 2;
  }
  flat.length = to;
}

/** Of a trailer section; what must not come so late is dropped. Undefined where nothing is left. */
export function trailerList(raw: readonly string[]): HeaderList | undefined {
  const flat: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const { name } = fieldName(raw[i] ?? "");
    if (mayTrail(name)) flat.push(name, raw[i + 1] ?? "");
  }
  return flat.length === 0 ? undefined : new HeaderList(flat);
}
