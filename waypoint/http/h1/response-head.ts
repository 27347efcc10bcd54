/** A response's head, from the bytes to what the proxy sees, or what is wrong with it. */
import { HeaderList } from "../header-list.ts";
import type { BodyLength, ResponseHead } from "../message.ts";
import { type SortedFields, sortFields } from "./fields.ts";
import { type BodyFraming, malformed, type ReadFault } from "./message-reader.ts";
import { responseParser } from "./node-parser.ts";

export interface IncomingResponse {
  readonly head: ResponseHead;
  readonly length: BodyLength;
  readonly framing: BodyFraming;
  /** Whether the connection may be used again after it. */
  readonly keepAlive: boolean;
}

const VERSION = Buffer.from("HTTP/1.");
const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const NO_BODY: BodyLength = { kind: "none" };
const UNKNOWN: BodyLength = { kind: "unknown" };

/** `method` and `upgrade`: of the request that it answers. */
export interface AnsweredRequest {
  readonly method: string;
  readonly upgrade?: string;
}

export function readResponse(
  bytes: Buffer,
  headerCount: number,
  request: AnsweredRequest,
): IncomingResponse | ReadFault {
  const parser = responseParser();
  const consumed = parser.parse(bytes);
  if (typeof consumed === "string") return malformed(consumed);
  const { status, minor, fields } = parser.head;
  if (consumed !== bytes.length || !isStatusLine(bytes)) {
    return malformed("no HTTP/1.1 status line");
  }
  return judgeResponse({ status, minor, fields }, headerCount, request);
}

/** A response's head as a parser left it; `fields` are names and values as they came. */
export interface ParsedResponse {
  readonly status: number;
  /** Of HTTP/1. */
  readonly minor: number;
  readonly fields: readonly string[];
}

export function judgeResponse(
  { status, minor, fields }: ParsedResponse,
  headerCount: number,
  request: AnsweredRequest,
): IncomingResponse | ReadFault {
  if (status < 100 || status > 999) return malformed(`status ${status}`);
  if (fields.length > headerCount * 2) {
    return { code: "limit", status: 431, message: "the response has more fields than allowed" };
  }
  const sorted = sortFields(fields);
  const fault = sorted.fault ?? faultOf(sorted, minor, status);
  if (fault !== undefined) return malformed(fault);
  if (status === 101) return switching(sorted, request);
  return assemble(sorted, { status, minor, method: request.method });
}

function faultOf(sorted: SortedFields, minor: number, status: number): string | undefined {
  if (!sorted.chunked) return undefined;
  if (sorted.contentLength >= 0) return "Content-Length and Transfer-Encoding";
  if (minor === 0) return "Transfer-Encoding in HTTP/1.0";
  return status < 200 || status === 204 ? `Transfer-Encoding with status ${status}` : undefined;
}

/** RFC 9112 4: llhttp lets control characters into the reason phrase. */
function isStatusLine(bytes: Buffer): boolean {
  for (let i = 0; i < VERSION.length; i++) if (bytes[i] !== VERSION[i]) return false;
  let at = VERSION.length;
  while (at < bytes.length && ((bytes[at] ?? 0) >= SPACE || bytes[at] === TAB)) at++;
  return bytes[at] === CR && bytes[at + 1] === LF;
}

/** Only to what the client offered: else bytes of others' choice would go between the two. */
function switching(
  { flat, upgrade, upgradeOption }: SortedFields,
  request: AnsweredRequest,
): IncomingResponse | ReadFault {
  const offered = (request.upgrade ?? "").toLowerCase().split(/[ \t]*,[ \t]*/);
  if (upgrade === undefined || !upgradeOption || !offered.includes(upgrade.toLowerCase())) {
    return malformed("101 to a protocol that was not asked for");
  }
  const head: ResponseHead = { status: 101, headers: new HeaderList(flat), upgrade };
  return { head, length: NO_BODY, framing: { kind: "until-close" }, keepAlive: false };
}

interface StatusLine {
  readonly status: number;
  readonly minor: number;
  readonly method: string;
}

function assemble(sorted: SortedFields, { status, minor, method }: StatusLine): IncomingResponse {
  const bodyless = method === "HEAD" || status < 200 || status === 204 || status === 304;
  const framing = bodyless ? NOTHING : framingOf(sorted);
  const persistent = minor === 1 ? !sorted.close : sorted.keepAlive && !sorted.close;
  return {
    head: { status, headers: new HeaderList(sorted.flat) },
    length: lengthOf(sorted, bodyless, status),
    framing,
    keepAlive: persistent && framing.kind !== "until-close",
  };
}

const NOTHING: BodyFraming = { kind: "none" };

function framingOf({ chunked, contentLength }: SortedFields): BodyFraming {
  if (chunked) return { kind: "chunked" };
  if (contentLength > 0) return { kind: "length", bytes: contentLength };
  return contentLength === 0 ? NOTHING : { kind: "until-close" };
}

/** Of HEAD and 304 it is the length that a GET would have had: no bytes follow. */
function lengthOf({ contentLength }: SortedFields, bodyless: boolean, status: number): BodyLength {
  if (contentLength >= 0 && status !== 204 && status >= 200) {
    return { kind: "known", bytes: contentLength };
  }
  return bodyless ? NO_BODY : UNKNOWN;
}
