/** What a client speaks, by its first bytes, where its port does not say. */
import type { PortConfig } from "#common/model/waypoint/resource.ts";
import { DETECTION_BYTES, DETECTION_LINE_BYTES } from "../limits.ts";
import { maybeTls, readClientHello } from "./client-hello.ts";

export type Protocol =
  | { readonly kind: "http1" }
  | { readonly kind: "http2" }
  | { readonly kind: "tls"; readonly sni: string | undefined }
  | { readonly kind: "tcp" };

/** What a port is declared to carry. */
export type Declared = PortConfig["protocol"];

/** RFC 9113 3.4; the rest of it is the codec's to check. */
const PREFACE = "PRI * HTTP/2.0\r\n";
/** RFC 9110 9.3, RFC 5789, and those of WebDAV (RFC 4918 9) and CalDAV that are in use. */
const METHODS = new Set([
  ...["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"],
  ...["PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH"],
]);
/** RFC 9112 3: a token, a space, no space in between; more of it may be on the way. */
const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+/;
const VERSION = / HTTP\/1\.[0-9]\r?$/;

const TCP: Protocol = { kind: "tcp" };
const HTTP1: Protocol = { kind: "http1" };
const HTTP2: Protocol = { kind: "http2" };

/**
 * Undefined while more bytes could tell. `over`: no more will come, or they have been waited for.
 */
export function detectProtocol(
  declared: Declared,
  bytes: Uint8Array,
  over: boolean,
): Protocol | undefined {
  const last = over || bytes.length >= DETECTION_BYTES;
  if (declared === "tcp") return TCP;
  if (declared === "tls") return detectTls(bytes) ?? (last ? TCP : undefined);
  const text = textOf(bytes);
  if (text.startsWith(PREFACE)) return HTTP2;
  const maybeHttp2 = PREFACE.startsWith(text);
  if (maybeHttp2 && !last) return undefined;
  // What is declared to be HTTP and is not is for the codec to refuse.
  if (declared !== "auto") return HTTP1;
  if (text === "") return TCP;
  if (maybeTls(bytes)) return detectTls(bytes) ?? (last ? TCP : undefined);
  return detectHttp1(text, last);
}

/** RFC 9113 4.1 and 6.5: type, flags and stream of a SETTINGS frame; its length comes before. */
const SETTINGS_FRAME = [4, 0, 0, 0, 0, 0];
const LENGTH_BYTES = 3;

/**
 * Whether a server's first bytes are its word. An HTTP/2 server sends its settings to whoever
 * connects, and then waits for a client's request as any HTTP server.
 */
export function isServersWord(bytes: Uint8Array): boolean {
  if (bytes.length === 0) return false;
  const begins = SETTINGS_FRAME.every((value, i) => (bytes[LENGTH_BYTES + i] ?? value) === value);
  return bytes[0] !== 0 || !begins;
}

function detectTls(bytes: Uint8Array): Protocol | undefined {
  const hello = readClientHello(bytes);
  if (hello.kind === "incomplete") return undefined;
  return hello.kind === "hello" ? { kind: "tls", sni: hello.sni } : TCP;
}

/**
 * A known method with a target is HTTP at once; another token is HTTP where its line says so, for
 * other protocols begin with words, too.
 */
function detectHttp1(text: string, last: boolean): Protocol | undefined {
  const method = METHOD.exec(text)?.[0] ?? "";
  if (method === "") return TCP;
  if (text.length === method.length) return last ? TCP : undefined;
  if (text[method.length] !== " ") return TCP;
  const target = text[method.length + 1] ?? "";
  if (METHODS.has(method) && (target === "/" || target === "*")) return HTTP1;
  const end = text.indexOf("\n");
  if (end >= 0) return VERSION.test(text.slice(0, end)) ? HTTP1 : TCP;
  return last || text.length >= DETECTION_LINE_BYTES ? TCP : undefined;
}

function textOf(bytes: Uint8Array): string {
  const { buffer, byteOffset, byteLength } = bytes;
  const length = Math.min(byteLength, DETECTION_LINE_BYTES);
  return Buffer.from(buffer, byteOffset, length).toString("latin1");
}
