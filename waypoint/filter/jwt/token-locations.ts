/** Where tokens are looked for in a request, and how they are taken out of it. */

import { pathOf } from "#common/authorization/http/request-view.ts";
import type { JwtRule } from "#common/model/waypoint/policy.ts";
import type { HeaderList } from "../../http/header-list.ts";
import type { RequestHead } from "../../http/message.ts";

export type TokenLocation = JwtRule["locations"][number];

/** Source: JWTRule, where no location is given. */
const DEFAULT_LOCATIONS: readonly TokenLocation[] = [
  { kind: "header", name: "authorization", prefix: "Bearer " },
  { kind: "query-parameter", name: "access_token" },
];

export function locationsOf(rule: JwtRule): readonly TokenLocation[] {
  return rule.locations.length === 0 ? DEFAULT_LOCATIONS : rule.locations;
}

/** Every token in that place: an attacker may send several. */
export function tokensAt(location: TokenLocation, head: RequestHead): readonly string[] {
  switch (location.kind) {
    case "header":
      return headerTokens(location, head.headers);
    case "query-parameter":
      return parameterTokens(location.name, head.path);
    case "cookie":
      return cookieTokens(location.name, head.headers);
  }
}

/** A parameter stays in the path: what policies saw is what the upstream gets. */
export function removeTokens(location: TokenLocation, headers: HeaderList): void {
  if (location.kind === "header") headers.delete(location.name.toLowerCase());
  if (location.kind !== "cookie") return;
  const kept = cookiePairs(headers).filter((pair) => cookieName(pair) !== location.name);
  if (kept.length === 0) headers.delete("cookie");
  else headers.set("cookie", kept.join("; "));
}

/** The scheme of RFC 9110 11.1 in whatever case; any other prefix as it is written. */
function headerTokens({ name, prefix = "" }: TokenLocation, headers: HeaderList): string[] {
  const scheme = prefix.toLowerCase() === "bearer ";
  return headers.getAll(name.toLowerCase()).flatMap((value) => {
    const begin = value.slice(0, prefix.length);
    const fits = scheme ? begin.toLowerCase() === "bearer " : begin === prefix;
    const token = fits ? value.slice(prefix.length).trim() : "";
    return token === "" ? [] : [token];
  });
}

function parameterTokens(name: string, path: string): string[] {
  const [target = ""] = path.split("#", 1);
  const query = target.slice(pathOf(target).length + 1);
  if (query === "") return [];
  return new URLSearchParams(query).getAll(name).filter((token) => token !== "");
}

function cookieTokens(name: string, headers: HeaderList): string[] {
  return cookiePairs(headers).flatMap((pair) => {
    const value = pair.slice(pair.indexOf("=") + 1).trim();
    const token = value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
    return cookieName(pair) === name && token !== "" ? [token] : [];
  });
}

function cookiePairs(headers: HeaderList): string[] {
  return headers.getAll("cookie").flatMap((line) => line.split(";").map((pair) => pair.trim()));
}

function cookieName(pair: string): string {
  return pair.slice(0, Math.max(0, pair.indexOf("="))).trim();
}
