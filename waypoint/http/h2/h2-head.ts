/** The beginnings of messages to and from the flat header lists of node:http2. */
import http2 from "node:http2";
import { HeaderList } from "../header-list.ts";
import type { BodyLength, RequestHead, ResponseHead } from "../message.ts";

const { NGHTTP2_FLAG_END_STREAM } = http2.constants;

/** Not of HTTP/2 (RFC 9113 8.2.2), or said otherwise by the framing. */
const NOT_CARRIED = new Set([
  ...["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"],
  ...["host", "content-length", "http2-settings"],
]);

const GRPC = "application/grpc";

/** Why a request that nghttp2 lets through is not served. */
export interface MalformedRequest {
  readonly malformed: string;
}

/** A header block, taken apart. */
interface Block {
  readonly pseudo: ReadonlyMap<string, string>;
  readonly host: string | undefined;
  readonly contentLength: string | undefined;
  readonly headers: HeaderList;
}

export function requestFromBlock(flat: readonly string[]): RequestHead | MalformedRequest {
  const { pseudo, host, headers } = takeApart(flat);
  const method = pseudo.get(":method") ?? "";
  const path = pseudo.get(":path") ?? "";
  const named = pseudo.get(":authority");
  if (method === "CONNECT") return { malformed: "CONNECT inside a tunnel is not served" };
  if (path === "") return { malformed: ":path is missing" };
  if (named !== undefined && host !== undefined && named !== host) {
    return { malformed: "host and :authority differ" };
  }
  const authority = named ?? host ?? "";
  const scheme = pseudo.get(":scheme") ?? "http";
  return { version: "2", method, scheme, authority, path, headers };
}

export function responseFromBlock(flat: readonly string[]): ResponseHead {
  const { pseudo, headers } = takeApart(flat);
  return { status: Number(pseudo.get(":status") ?? 0), headers };
}

export function trailersFromBlock(flat: readonly string[]): HeaderList {
  return takeApart(flat).headers;
}

/** `flags`: of the frame that ended the block. */
export function bodyLength(flat: readonly string[], flags: number): BodyLength {
  if ((flags & NGHTTP2_FLAG_END_STREAM) !== 0) return { kind: "none" };
  const text = takeApart(flat).contentLength;
  return text === undefined ? { kind: "unknown" } : { kind: "known", bytes: Number(text) };
}

/**
 * Whether trailers may follow, which Node has to know first. A message of known length rarely has
 * any: unless it is gRPC's, whose trailers say how the call went, or it announces them.
 */
export function mayHaveTrailers(headers: HeaderList, body: BodyLength): boolean {
  if (body.kind !== "known") return body.kind === "unknown";
  return headers.has("trailer") || headers.get("content-type")?.startsWith(GRPC) === true;
}

export function requestToBlock(head: RequestHead, body: BodyLength): string[] {
  const { method, scheme, authority, path, headers } = head;
  const flat = [":method", method, ":scheme", scheme, ":path", path];
  if (authority !== "") flat.push(":authority", authority);
  return withHeaders(flat, headers, body);
}

export function responseToBlock(head: ResponseHead, body: BodyLength): string[] {
  return withHeaders([":status", String(head.status)], head.headers, body);
}

function withHeaders(flat: string[], headers: HeaderList, body: BodyLength): string[] {
  const fields = headers.flat;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? "";
    if (!NOT_CARRIED.has(name)) flat.push(name, fields[i + 1] ?? "");
  }
  if (body.kind === "known") flat.push("content-length", String(body.bytes));
  return flat;
}

function takeApart(flat: readonly string[]): Block {
  const pseudo = new Map<string, string>();
  const kept: string[] = [];
  let host: string | undefined;
  let contentLength: string | undefined;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i] ?? "";
    const value = flat[i + 1] ?? "";
    if (name.startsWith(":")) pseudo.set(name, value);
    else if (name === "host") host ??= value;
    else if (name === "content-length") contentLength = value;
    else if (!NOT_CARRIED.has(name)) kept.push(name, value);
  }
  return { pseudo, host, contentLength, headers: joinCookies(new HeaderList(kept)) };
}

/** HTTP/2 may split a cookie header into its crumbs (RFC 9113 8.2.3). */
function joinCookies(headers: HeaderList): HeaderList {
  const crumbs = headers.getAll("cookie");
  if (crumbs.length > 1) headers.set("cookie", crumbs.join("; "));
  return headers;
}
