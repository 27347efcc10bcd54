/** Which requests a limit is about, and what it counts them apart by. */
import { claimTexts } from "#common/authorization/http/claims.ts";
import { pathOf } from "#common/authorization/http/request-view.ts";
import { wireBytes } from "#common/authorization/http/text-match.ts";
import type { Origin } from "#common/model/waypoint/http-route.ts";
import type { RateLimit } from "#common/model/waypoint/policy.ts";
import type { RequestContext } from "../stage.ts";
import { DESCRIPTOR_LENGTH } from "./limits.ts";

type Descriptor = RateLimit["descriptors"][number];

/** Whether one of the limit's matches fits; every one of what a match says has to hold. */
export function isLimited({ matches }: RateLimit, { head }: RequestContext): boolean {
  if (matches.length === 0) return true;
  const path = pathOf(head.path);
  return matches.some(
    ({ pathPrefix, methods, headers }) =>
      (pathPrefix === undefined || isUnder(path, pathPrefix)) &&
      (methods.length === 0 || methods.includes(head.method)) &&
      headers.every(({ name, value }) => head.headers.getAll(name).includes(wireBytes(value))),
  );
}

/** Whether the rule that takes the request is of one of the routes. */
export function isOfRoute(
  routes: NonNullable<RateLimit["routes"]>,
  rule: Origin | undefined,
): boolean {
  return routes.some(
    ({ kind, namespace, name }) =>
      rule?.kind === kind && rule.namespace === namespace && rule.name === name,
  );
}

/** By whole segments, as Gateway API's PathPrefix: /a is /a and /a/b, and not /ab. */
function isUnder(path: string, prefix: string): boolean {
  const bare = prefix.endsWith("/") ? prefix.slice(0, -1) : prefix;
  return path.startsWith(bare) && (path.length === bare.length || path[bare.length] === "/");
}

/** What a request without the header, claim or token is counted under: they share one bucket. */
const NONE = "none";

/** One value for each of the limit's descriptors. */
export function descriptorValues(limit: RateLimit, context: RequestContext): readonly string[] {
  return limit.descriptors.map((descriptor) => {
    const value = descriptorValue(descriptor, context);
    return value === "" ? NONE : value.slice(0, DESCRIPTOR_LENGTH);
  });
}

function descriptorValue({ kind, name }: Descriptor, context: RequestContext): string {
  const { downstream, head, tokens } = context;
  switch (kind) {
    case "identity":
      return downstream.peer.uri;
    case "header":
      return head.headers.combined(name) ?? "";
    case "claim":
      return tokens.flatMap((token) => claimTexts(token, claimPath(name), true)).join(",");
    case "source-ip":
      return downstream.source.ip;
    case "path":
      return pathOf(head.path);
    case "method":
      return head.method;
    case "constant":
      return name;
  }
}

/** `sub`, or `[org][team]` for a claim in a claim, as in `request.auth.claims[org][team]`. */
function claimPath(name: string): readonly string[] {
  return name.startsWith("[") && name.endsWith("]") ? name.slice(1, -1).split("][") : [name];
}

/** What a descriptor is called in Envoy's rate limit protocol. */
export function descriptorKey({ kind, name }: Descriptor): string {
  switch (kind) {
    case "header":
    case "claim":
      return name;
    case "source-ip":
      return "remote_address";
    case "constant":
      return "generic_key";
    case "identity":
    case "path":
    case "method":
      return kind;
  }
}
