/** What a request is placed by where its backend hashes consistently. */
import { randomBytes } from "node:crypto";
import type { TrafficPolicy } from "#common/model/waypoint/backend.ts";
import type { Downstream } from "../filter/stage.ts";
import { hash32 } from "./hash.ts";
import type { LeaseContext } from "./upstream.ts";

type HashKey = NonNullable<NonNullable<TrafficPolicy["loadBalancer"]>["hash"]>;

/** Of requests that were given a cookie: every try of them goes by the same. */
const given = new WeakMap<LeaseContext, number>();

/** Undefined where the request has no such key: it goes anywhere. */
export function hashOf(key: HashKey | undefined, context: LeaseContext): number | undefined {
  switch (key?.kind) {
    case undefined:
      return undefined;
    case "header":
      return hashed(context.head.headers.combined(key.name));
    case "source-ip":
      return hashOfSource(context.downstream);
    case "query-parameter":
      return hashed(queryParameter(context.head.path, key.name));
    case "cookie":
      return hashed(cookie(context, key.name)) ?? giveCookie(context, key);
  }
}

export function hashOfSource({ source }: Downstream): number {
  return hash32(source.ip);
}

function hashed(value: string | undefined): number | undefined {
  return value === undefined ? undefined : hash32(value);
}

function queryParameter(path: string, name: string): string | undefined {
  const question = path.indexOf("?");
  if (question < 0) return undefined;
  return new URLSearchParams(path.slice(question + 1)).get(name) ?? undefined;
}

function cookie({ head }: LeaseContext, name: string): string | undefined {
  for (const line of head.headers.getAll("cookie")) {
    for (const pair of line.split(";")) {
      const equals = pair.indexOf("=");
      if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
    }
  }
  return undefined;
}

/** Only where the backend says for how long. Source: Envoy, HashPolicy.Cookie.ttl. */
function giveCookie(context: LeaseContext, key: HashKey): number | undefined {
  const { name, cookieTtlSeconds: ttl, cookiePath: path } = key;
  if (ttl === undefined) return undefined;
  const before = given.get(context);
  if (before !== undefined) return before;
  const value = randomBytes(8).toString("hex");
  const parts = [`${name}=${value}`];
  if (ttl > 0) parts.push(`Max-Age=${ttl}`);
  if (path !== undefined && path !== "") parts.push(`Path=${path}`);
  context.responseHeaders.append("set-cookie", [...parts, "HttpOnly"].join("; "));
  const hash = hash32(value);
  given.set(context, hash);
  return hash;
}
