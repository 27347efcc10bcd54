/**
 * What a header section of HTTP/2 must be (RFC 9113 8.1.1, 8.2 and 8.3). A message that is not is
 * malformed: its stream is reset, and nothing of it is passed on.
 */

/** RFC 9110 5.6.2, without upper case (RFC 9113 8.2.1). */
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** RFC 9110 5.6.2, and the rules of RFC 3986 3.3 as far as characters go. */
const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** As in HTTP/1.1: no user (RFC 9113 8.3.1), whom upstreams could take for the host or drop. */
const AUTHORITY = /^(?:\[[0-9a-f:.]+\]|[\w.~%!$&'()*+;=-]+)(?::\d{0,5})?$/i;
const PATH = /^[\x21-\x7e\x80-\xff]+$/;
const SCHEME = /^[A-Za-z][A-Za-z0-9+\-.]*$/;
const STATUS = /^[1-9][0-9]{2}$/;
const LENGTH = /^[0-9]{1,15}$/;
/** RFC 9113 8.2.1: no control characters but tabs, and no space around. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const BAD_VALUE = /[\0-\x08\x0a-\x1f\x7f]|^[ \t]|[ \t]$/;

/** RFC 9113 8.2.2. */
const OF_ONE_CONNECTION = new Set([
  ...["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"],
]);

/** Names that have been found good: most messages have the same. */
const goodNames = new Set<string>();
const GOOD_NAMES = 512;

/** What has been seen of a section. */
interface Seen {
  method: string | undefined;
  scheme: string | undefined;
  path: string | undefined;
  authority: string | undefined;
  host: string | undefined;
  status: string | undefined;
  /** -1: nothing has been said. */
  length: number;
  regular: boolean;
}

/** The content-length that was said, -1 for none; undefined for what is malformed. */
export function validateRequest(flat: readonly string[]): number | undefined {
  const seen = look(flat);
  if (seen === undefined || seen.status !== undefined) return undefined;
  const { method, scheme, path, authority, host } = seen;
  if (method === undefined || !METHOD.test(method)) return undefined;
  if (authority !== undefined && !AUTHORITY.test(authority)) return undefined;
  if (host !== undefined && !AUTHORITY.test(host)) return undefined;
  if (method === "CONNECT") {
    const bare = scheme === undefined && path === undefined && authority !== undefined;
    return bare ? seen.length : undefined;
  }
  if (scheme === undefined || !SCHEME.test(scheme)) return undefined;
  if (path === undefined || !PATH.test(path)) return undefined;
  if (path[0] !== "/" && !(path === "*" && method === "OPTIONS")) return undefined;
  if (authority === undefined && host === undefined) return undefined;
  return seen.length;
}

/** As above. */
export function validateResponse(flat: readonly string[]): number | undefined {
  const seen = look(flat);
  if (seen === undefined || !STATUS.test(seen.status ?? "")) return undefined;
  const { method, scheme, path, authority } = seen;
  const asks = method ?? scheme ?? path ?? authority;
  // RFC 9113 8.6: HTTP/2 does not switch protocols.
  return asks === undefined && seen.status !== "101" ? seen.length : undefined;
}

export function areTrailersValid(flat: readonly string[]): boolean {
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i] ?? "";
    if (!isFieldValid(name, flat[i + 1] ?? "")) return false;
  }
  return true;
}

function look(flat: readonly string[]): Seen | undefined {
  const seen: Seen = {
    method: undefined,
    scheme: undefined,
    path: undefined,
    authority: undefined,
    host: undefined,
    status: undefined,
    length: -1,
    regular: false,
  };
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i] ?? "";
    const value = flat[i + 1] ?? "";
    const pseudo = name.charCodeAt(0) === COLON;
    if (pseudo ? !takePseudo(seen, name, value) : !takeField(seen, name, value)) return undefined;
  }
  return seen;
}

const COLON = 0x3a;

/** RFC 9113 8.3: before all others, each once and with a value, none that is not known. */
function takePseudo(seen: Seen, name: string, value: string): boolean {
  const field = PSEUDO[name];
  if (field === undefined || seen.regular || value === "" || seen[field] !== undefined)
    return false;
  seen[field] = value;
  return true;
}

const PSEUDO: Readonly<Record<string, "method" | "scheme" | "path" | "authority" | "status">> = {
  ":method": "method",
  ":scheme": "scheme",
  ":path": "path",
  ":authority": "authority",
  ":status": "status",
};

function takeField(seen: Seen, name: string, value: string): boolean {
  seen.regular = true;
  if (!isFieldValid(name, value)) return false;
  if (name === "host") {
    if (seen.host !== undefined) return false;
    seen.host = value;
  } else if (name === "content-length") {
    if (seen.length >= 0 || !LENGTH.test(value)) return false;
    seen.length = Number(value);
  }
  return true;
}

function isFieldValid(name: string, value: string): boolean {
  if (!goodNames.has(name) && !isNameGood(name)) return false;
  if (BAD_VALUE.test(value)) return false;
  return name !== "te" || value.toLowerCase() === "trailers";
}

function isNameGood(name: string): boolean {
  if (!NAME.test(name) || OF_ONE_CONNECTION.has(name)) return false;
  if (goodNames.size < GOOD_NAMES) goodNames.add(name);
  return true;
}
