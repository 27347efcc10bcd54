/** Heads to and from node:http's flat lists of names and values, for the engines of libraries. */
import type { IncomingMessage } from "node:http";
import { HeaderList } from "../header-list.ts";
import type { BodyLength, RequestHead, ResponseHead } from "../message.ts";

/** For one hop only (RFC 9110 7.6.1), or said by the framing; `te` stays where it says trailers. */
const ONE_HOP = new Set([
  ...["connection", "keep-alive", "proxy-connection", "proxy-authenticate"],
  ...["proxy-authorization", "transfer-encoding", "upgrade", "content-length", "host"],
]);

export function requestHeadOf(message: IncomingMessage): RequestHead | undefined {
  const { method = "", url = "", headers } = message;
  const target = originForm(url, headers.host);
  if (target === undefined) return undefined;
  return {
    version: message.httpVersion === "1.0" ? "1.0" : "1.1",
    method,
    scheme: "http",
    ...target,
    headers: endToEnd(message.rawHeaders),
    ...(headers.upgrade !== undefined && { upgrade: headers.upgrade }),
  };
}

export function responseHeadOf(message: IncomingMessage): ResponseHead {
  const { statusCode = 0, headers } = message;
  const upgrade = statusCode === 101 ? headers.upgrade : undefined;
  return { status: statusCode, headers: endToEnd(message.rawHeaders), ...(upgrade && { upgrade }) };
}

export function lengthOf(message: IncomingMessage, bodyless: boolean): BodyLength {
  const { "content-length": length, "transfer-encoding": encoding } = message.headers;
  if (encoding !== undefined) return bodyless ? NONE : UNKNOWN;
  if (length !== undefined) return length === "0" ? NONE : { kind: "known", bytes: Number(length) };
  return bodyless ? NONE : UNKNOWN;
}

export function trailersOf(message: IncomingMessage): HeaderList | undefined {
  return message.rawTrailers.length === 0 ? undefined : lowerCase(message.rawTrailers);
}

/** With the framing that this length needs. */
export function toNode(headers: HeaderList, length: BodyLength): string[] {
  const flat: string[] = [];
  for (const [name, value] of headers.entries()) if (!ONE_HOP.has(name)) flat.push(name, value);
  if (length.kind === "known") flat.push("content-length", String(length.bytes));
  return flat;
}

const NONE: BodyLength = { kind: "none" };
const UNKNOWN: BodyLength = { kind: "unknown" };

/** Absolute form names the host itself, which then has to be the `Host` as well. */
function originForm(
  url: string,
  host: string | undefined,
): { authority: string; path: string } | undefined {
  if (url.startsWith("/") || url === "*") return { authority: host ?? "", path: url };
  const parts = /^https?:\/\/([^/?#]+)([/?].*)?$/i.exec(url);
  const [, authority = "", rest = "/"] = parts ?? [];
  if (parts === null || (host !== undefined && host !== authority)) return undefined;
  return { authority, path: rest.startsWith("?") ? `/${rest}` : rest };
}

/** What a flat list of fields says to whom it may concern beyond the next hop. */
export function endToEnd(flat: readonly string[]): HeaderList {
  const headers = lowerCase(flat);
  const named = (headers.combined("connection") ?? "").toLowerCase().split(",");
  const te = headers.combined("te");
  for (const name of [...named, ...ONE_HOP]) headers.delete(name.trim());
  if (te === undefined) return headers;
  headers.delete("te");
  if (te.split(",").some((coding) => coding.trim().toLowerCase() === "trailers")) {
    headers.append("te", "trailers");
  }
  return headers;
}

function lowerCase(flat: readonly string[]): HeaderList {
  return new HeaderList(flat.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text)));
}
