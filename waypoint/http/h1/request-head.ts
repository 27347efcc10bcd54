/** A request's head, from the bytes to what the proxy sees, or the answer that it gets instead. */
import { HeaderList } from "../header-list.ts";
import type { BodyLength, HttpVersion, RequestHead } from "../message.ts";
import { type SortedFields, sortFields } from "./fields.ts";
import type { BodyFraming } from "./message-reader.ts";
import { requestParser } from "./node-parser.ts";

/** What a server answers by itself. */
export interface Refusal {
  readonly status: 400 | 405 | 408 | 431 | 500;
  readonly message: string;
}

export interface IncomingRequest {
  readonly head: RequestHead;
  readonly length: BodyLength;
  readonly framing: BodyFraming;
  /** Whether the client would send another request on this connection. */
  readonly keepAlive: boolean;
  readonly expectsContinue: boolean;
}

const SPACE = 32;
const CR = 13;
/** "HTTP/1." */
const VERSION = Buffer.from("HTTP/1.");
const ZERO = 48;

/**
 * A host and a port as RFC 9110 7.2 and RFC 3986 3.2.2 have them, without user information. More
 * than one reader of this depends on where it ends, so nothing odd is let through.
 */
const AUTHORITY = /^(?:\[[0-9a-f:.]+\]|[\w.~%!$&'()*+;=-]*)(?::\d{0,5})?$/i;
const ABSOLUTE_FORM = /^http:\/\/([^/?#]*)([^#]*)$/i;
/** RFC 9110 7.8: protocols that a client offers; h2c would take requests past us unseen. */
const PROTOCOLS = /^[\w!#$%&'*+.^`|~/-]+(?:[ \t]*,[ \t]*[\w!#$%&'*+.^`|~/-]+)*$/;
const H2C = /(^|[ \t,])h2c($|[ \t,])/i;

const NO_BODY: BodyLength = { kind: "none" };
const UNKNOWN: BodyLength = { kind: "unknown" };
const NOTHING_TO_READ: BodyFraming = { kind: "none" };
const CHUNKED: BodyFraming = { kind: "chunked" };

/** `bytes`: one head, from its first byte to its empty line. */
export function readRequest(bytes: Buffer, headerCount: number): IncomingRequest | Refusal {
  const parser = requestParser();
  const consumed = parser.parse(bytes);
  if (typeof consumed === "string") return bad(consumed);
  const { method, target, fields } = parser.head;
  const minor = minorVersion(bytes, method.length + 1 + target.length);
  if (consumed !== bytes.length || minor < 0) return bad("no HTTP/1.1 request line");
  return judgeRequest({ method, target, minor }, fields, headerCount);
}

/** Of a request that was parsed already; `fields` are names and values as they came. */
export function judgeRequest(
  line: RequestLine,
  fields: readonly string[],
  headerCount: number,
): IncomingRequest | Refusal {
  if (fields.length > headerCount * 2) {
    return { status: 431, message: "the request has more header fields than allowed" };
  }
  if (line.method === "CONNECT") return { status: 405, message: "CONNECT is not served here" };
  const sorted = sortFields(fields);
  const fault = sorted.fault ?? framingFault(sorted, line.minor);
  if (fault !== undefined) return bad(fault);
  return assemble(sorted, line);
}

/** -1 where the line is not `method SP target SP HTTP/1.x CR LF`: llhttp takes more than that. */
function minorVersion(bytes: Buffer, afterTarget: number): number {
  if (bytes[afterTarget] !== SPACE) return -1;
  for (let i = 0; i < VERSION.length; i++) {
    if (bytes[afterTarget + 1 + i] !== VERSION[i]) return -1;
  }
  const minor = (bytes[afterTarget + 8] ?? 0) - ZERO;
  return (minor === 0 || minor === 1) && bytes[afterTarget + 9] === CR ? minor : -1;
}

function framingFault(sorted: SortedFields, minor: number): string | undefined {
  if (sorted.chunked && sorted.contentLength >= 0) return "Content-Length and Transfer-Encoding";
  if (sorted.chunked && minor === 0) return "Transfer-Encoding in HTTP/1.0";
  if (sorted.host === undefined) return minor === 0 ? undefined : "no Host";
  return AUTHORITY.test(sorted.host) ? undefined : "a Host that names no host";
}

export interface RequestLine {
  readonly method: string;
  readonly target: string;
  /** Of HTTP/1. */
  readonly minor: number;
}

function assemble(sorted: SortedFields, line: RequestLine): IncomingRequest | Refusal {
  const { method, minor } = line;
  const place = readTarget(line, sorted.host);
  if ("status" in place) return place;
  const version: HttpVersion = minor === 1 ? "1.1" : "1.0";
  const base = {
    version,
    method,
    scheme: "http",
    authority: place.authority,
    path: place.path,
    headers: new HeaderList(sorted.flat),
  };
  const upgrade = offeredUpgrade(sorted, minor);
  const known = sorted.contentLength >= 0;
  return {
    head: upgrade === undefined ? base : { ...base, upgrade },
    length: known ? { kind: "known", bytes: sorted.contentLength } : bodyOf(sorted.chunked),
    framing: framingOf(sorted),
    keepAlive: minor === 1 ? !sorted.close : sorted.keepAlive && !sorted.close,
    expectsContinue: sorted.expectsContinue && minor === 1,
  };
}

function bodyOf(chunked: boolean): BodyLength {
  return chunked ? UNKNOWN : NO_BODY;
}

function framingOf({ chunked, contentLength }: SortedFields): BodyFraming {
  if (chunked) return CHUNKED;
  return contentLength > 0 ? { kind: "length", bytes: contentLength } : NOTHING_TO_READ;
}

/** An upgrade with a body is answered as if it had not been asked for (RFC 9110 7.8 allows it). */
function offeredUpgrade(sorted: SortedFields, minor: number): string | undefined {
  const { upgrade, upgradeOption, chunked, contentLength } = sorted;
  if (upgrade === undefined || !upgradeOption || minor === 0) return undefined;
  if (chunked || contentLength > 0 || H2C.test(upgrade)) return undefined;
  return PROTOCOLS.test(upgrade) ? upgrade : undefined;
}

interface Place {
  readonly authority: string;
  readonly path: string;
}

function readTarget({ method, target }: RequestLine, host: string | undefined): Place | Refusal {
  if (target.includes("#")) return bad("a fragment in the request target");
  if (target.startsWith("/")) return { authority: host ?? "", path: target };
  if (target === "*") {
    if (method !== "OPTIONS") return bad("* is for OPTIONS only");
    return { authority: host ?? "", path: "*" };
  }
  const [, authority = "", rest = ""] = ABSOLUTE_FORM.exec(target) ?? [];
  if (authority === "" || !AUTHORITY.test(authority)) return bad("no http request target");
  if (host !== undefined && host.toLowerCase() !== authority.toLowerCase()) {
    return bad("Host and request target differ");
  }
  if (rest === "") return { authority, path: method === "OPTIONS" ? "*" : "/" };
  return { authority, path: rest.startsWith("/") ? rest : `/${rest}` };
}

function bad(message: string): Refusal {
  return { status: 400, message };
}
