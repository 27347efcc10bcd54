/**
 * Heads as text, one byte per character. Nothing gets into one that could end its line: a field
 * that HTTP/1.1 cannot carry makes the whole head undefined.
 */
import http from "node:http";
import type { HeaderList } from "../header-list.ts";
import type { BodyLength, RequestHead, ResponseHead } from "../message.ts";
import { fieldName, isSendable, mayTrail } from "./field-names.ts";

/** How the body of a message is delimited on the wire. */
export type OutgoingFraming = "none" | "length" | "chunked" | "until-close" | "raw";

/** RFC 9112 3.2: no space, no control character, nothing beyond one byte. */
const TARGET = /^[\x21-\x7e\x80-\xff]+$/;
const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Only what every reader agrees on. */
const HOST = /^[\x21-\x7e]*$/;
const UPGRADE = /^[\x20-\x7e]+$/;

const STATUS_LINES: string[] = [];

/** Undefined: it cannot be written in HTTP/1.1. */
export function requestText(
  { method, path, authority, headers, upgrade }: RequestHead,
  body: BodyLength,
): string | undefined {
  if (!METHOD.test(method) || !TARGET.test(path) || !HOST.test(authority)) return undefined;
  const fields = fieldsText(headers);
  if (fields === undefined) return undefined;
  const start = `${method} ${path} HTTP/1.1\r\nhost: ${authority}\r\n${fields}`;
  if (upgrade !== undefined) {
    if (!UPGRADE.test(upgrade)) return undefined;
    return `${start}connection: upgrade\r\nupgrade: ${upgrade}\r\n\r\n`;
  }
  const options = headers.has("te") ? "connection: te\r\n" : "";
  return `${start}${options}${requestFraming(method, body)}\r\n`;
}

function requestFraming(method: string, body: BodyLength): string {
  if (body.kind === "known") return `content-length: ${body.bytes}\r\n`;
  if (body.kind === "unknown") return "transfer-encoding: chunked\r\n";
  // RFC 9110 8.6: methods that usually have a body say that there is none.
  const usual = method === "POST" || method === "PUT" || method === "PATCH";
  return usual ? "content-length: 0\r\n" : "";
}

/** `length`: what to say of it, if anything; `options`: of the Connection field, if any. */
export function responseText(
  { status, headers, upgrade }: ResponseHead,
  framing: OutgoingFraming,
  { length, options }: { length: number | undefined; options: string | undefined },
): string | undefined {
  const fields = fieldsText(headers);
  if (fields === undefined || status < 100 || status > 999) return undefined;
  const start = `${statusLine(status)}${fields}`;
  if (status === 101) {
    if (upgrade === undefined || !UPGRADE.test(upgrade)) return undefined;
    return `${start}connection: upgrade\r\nupgrade: ${upgrade}\r\n\r\n`;
  }
  const connection = options === undefined ? "" : `connection: ${options}\r\n`;
  if (framing === "chunked") return `${start}${connection}transfer-encoding: chunked\r\n\r\n`;
  const said = length === undefined ? "" : `content-length: ${length}\r\n`;
  return `${start}${connection}${said}\r\n`;
}

/** Behind the last chunk. Fields that cannot be carried are left out: the body has been sent. */
export function trailersText(trailers: HeaderList): string {
  let text = "";
  for (const [name, value] of trailers.entries()) {
    if (isSendable(name, value) && mayTrail(name)) text += `${name}: ${value}\r\n`;
  }
  return text;
}

/**
 * Names and values that go beyond the next hop; undefined where HTTP/1.1 cannot carry them. For
 * engines that write heads by a library.
 */
export function sendableFields({ flat }: HeaderList): string[] | undefined {
  const fields: string[] = [];
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i] ?? "";
    const value = flat[i + 1] ?? "";
    if (!isSendable(name, value)) return undefined;
    if (isPassedOn(name)) fields.push(name, value);
  }
  return fields;
}

function fieldsText(headers: HeaderList): string | undefined {
  const { flat } = headers;
  let text = "";
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i] ?? "";
    const value = flat[i + 1] ?? "";
    if (!isSendable(name, value)) return undefined;
    if (!isPassedOn(name)) continue;
    text += `${name}: ${value}\r\n`;
  }
  return text;
}

/** What frames the message or is for one hop is ours to say. */
function isPassedOn(name: string): boolean {
  const { role } = fieldName(name);
  return role === "end-to-end" || role === "te" || role === "expect";
}

function statusLine(status: number): string {
  STATUS_LINES[status] ??= `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? "Unknown"}\r\n`;
  return STATUS_LINES[status] ?? "";
}

/** An answer of the codec's own, behind which the connection is closed. */
export function refusalText(status: number, message: string): string {
  const body = `${message}\n`;
  const fields = `content-type: text/plain\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`;
  return `${statusLine(status)}connection: close\r\n${fields}\r\n${body}`;
}
