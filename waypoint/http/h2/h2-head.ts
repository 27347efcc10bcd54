/** The beginnings of messages to and from flat header lists. */
import { mayTrail } from "../h1/field-names.ts";
import { HeaderList } from "../header-list.ts";
import type { BodyLength, RequestHead, ResponseHead } from "../message.ts";

/** Not of HTTP/2 (RFC 9113 8.2.2), or said otherwise by the framing. */
const NOT_CARRIED = new Set([
  ...["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"],
  ...["host", "content-length", "http2-settings"],
]);

/** What a client may call its scheme, if anything. */
const SCHEMES = new Set(["", "http", "https"]);

/** Why a well-formed request is not served. */
export interface MalformedRequest {
  readonly malformed: string;
}

/** A header block, taken apart. What is not there is empty, or undefined where that differs. */
interface Block {
  method: string;
  scheme: string;
  path: string;
  status: string;
  /** `:authority`. */
  named: string | undefined;
  host: string | undefined;
  headers: HeaderList;
}

export function requestFromBlock(flat: readonly string[]): RequestHead | MalformedRequest {
  const { method, path, named, host, scheme, headers } = takeApart(flat);
  if (method === "CONNECT") return { malformed: "CONNECT inside a tunnel is not served" };
  if (path === "") return { malformed: ":path is missing" };
  if (named !== undefined && host !== undefined && named !== host) {
    return { malformed: "host and :authority differ" };
  }
  if (!SCHEMES.has(scheme)) return { malformed: ":scheme is none of HTTP" };
  // Whatever it says: nobody shall take for TLS what came in clear text.
  return { version: "2", method, scheme: "http", authority: named ?? host ?? "", path, headers };
}

export function responseFromBlock(flat: readonly string[]): ResponseHead {
  const { status, headers } = takeApart(flat);
  return { status: Number(status), headers };
}

/** What would take effect after it was checked is left out, as of HTTP/1.1's. */
export function trailersFromBlock(flat: readonly string[]): HeaderList {
  const { headers } = takeApart(flat);
  return new HeaderList([...headers.entries()].filter(([name]) => mayTrail(name)).flat());
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
  const kept: string[] = [];
  const headers = new HeaderList(kept);
  const block: Block = {
    ...{ method: "", scheme: "", path: "", status: "" },
    ...{ named: undefined, host: undefined, headers },
  };
  let crumbs = 0;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i] ?? "";
    const value = flat[i + 1] ?? "";
    if (name.startsWith(":")) takePseudo(block, name, value);
    else if (name === "host") block.host ??= value;
    else if (!NOT_CARRIED.has(name)) {
      if (name === "cookie") crumbs++;
      kept.push(name, value);
    }
  }
  if (crumbs > 1) joinCookies(headers);
  return block;
}

function takePseudo(block: Block, name: string, value: string): void {
  if (name === ":method") block.method = value;
  else if (name === ":path") block.path = value;
  else if (name === ":authority") block.named = value;
  else if (name === ":scheme") block.scheme = value;
  else if (name === ":status") block.status = value;
}

/** HTTP/2 may split a cookie header into its crumbs (RFC 9113 8.2.3). */
function joinCookies(headers: HeaderList): void {
  headers.set("cookie", headers.getAll("cookie").join("; "));
}
