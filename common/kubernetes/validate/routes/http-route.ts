/** HTTPRoute. Source: its CRD in sigs.k8s.io/gateway-api (channel experimental) and CEL rules. */
import { parseGatewayDurationMs } from "#common/kubernetes/gateway-duration.ts";
import {
  GATEWAY_GROUP,
  type HTTPRoute,
  type HttpRouteMatch,
  type HttpRouteRule,
} from "#common/kubernetes/route-objects.ts";
import { dnsSubdomain } from "#common/kubernetes/validate/formats.ts";
import { defineKind } from "#common/kubernetes/validate/metadata.ts";
import { HTTP_METHODS } from "#common/kubernetes/validate/routes/cors.ts";
import {
  checkFilterCombination,
  httpFilters,
  replacesPrefix,
} from "#common/kubernetes/validate/routes/filters.ts";
import {
  backendRef,
  checkParents,
  MAX_ITEMS,
  PARENT_FIELDS,
  routeStatus,
  uniqueRule,
} from "#common/kubernetes/validate/routes/references.ts";
import { sessionPersistence } from "#common/kubernetes/validate/routes/session-persistence.ts";
import {
  duration,
  headerName,
  headerValue,
  hostname,
  MAX_PATH,
  sectionName,
  sized,
} from "#common/kubernetes/validate/routes/texts.ts";
import {
  integer,
  list,
  oneOf,
  type Report,
  strictObject,
  text,
} from "#common/kubernetes/validate/schema.ts";

export const MAX_RULE_MATCHES = 64;
/** Of all rules of a route together. */
export const MAX_ROUTE_MATCHES = 128;
const MAX_QUERY_VALUE = 1_024;
const PATH_CHARACTERS = /^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$/;

const byName = (match: { readonly name: string }): string => `name ${match.name}`;
const comparison = oneOf("Exact", "RegularExpression");
const required = ["name", "value"];

const path = strictObject<NonNullable<HttpRouteMatch["path"]>>(
  { type: oneOf("Exact", "PathPrefix", "RegularExpression"), value: text(sized(MAX_PATH, 0)) },
  { check: checkPath },
);

const match = strictObject<HttpRouteMatch>({
  path,
  headers: list<{ name: string }>(
    strictObject({ type: comparison, name: headerName, value: headerValue }, { required }),
    { max: MAX_ITEMS, unique: byName },
  ),
  queryParams: list<{ name: string }>(
    strictObject(
      { type: comparison, name: headerName, value: text(sized(MAX_QUERY_VALUE)) },
      { required },
    ),
    { max: MAX_ITEMS, unique: byName },
  ),
  method: oneOf(...HTTP_METHODS),
});

const rule = strictObject<HttpRouteRule>(
  {
    name: sectionName,
    matches: list(match, { max: MAX_RULE_MATCHES }),
    filters: httpFilters,
    backendRefs: list(backendRef(httpFilters), { max: MAX_ITEMS }),
    timeouts: strictObject(
      { request: duration, backendRequest: duration },
      { check: checkTimeouts },
    ),
    retry: strictObject({
      codes: list(integer(400, 599)),
      attempts: integer(0),
      backoff: duration,
    }),
    sessionPersistence,
  },
  { check: checkRule },
);

export const httpRoute = defineKind({
  kind: "HTTPRoute",
  group: GATEWAY_GROUP,
  versions: ["v1", "v1beta1"],
  name: dnsSubdomain,
  required: ["spec"],
  strict: true,
  fields: {
    spec: strictObject<HTTPRoute["spec"]>(
      {
        ...PARENT_FIELDS,
        hostnames: list(hostname, { max: MAX_ITEMS }),
        rules: list<HttpRouteRule>(rule, { min: 1, max: MAX_ITEMS, unique: uniqueRule }),
      },
      {
        check: (spec, report) => {
          checkParents(spec.parentRefs, report);
          checkMatchCount(spec.rules, report);
        },
      },
    ),
    status: routeStatus,
  },
});

/** A rule without matches has one, that of the prefix "/". */
export function checkMatchCount(
  rules: readonly { readonly matches?: readonly unknown[] }[] = [],
  report: Report,
): void {
  const count = rules.reduce((sum, { matches }) => sum + (matches?.length ?? 1), 0);
  if (count <= MAX_ROUTE_MATCHES) return;
  const message = `have ${count} matches together, more than ${MAX_ROUTE_MATCHES}`;
  report("error", ["rules"], message, "split the route in two");
}

/** The proxy compares normalised paths: what normalising takes away would never match. */
function checkPath(value: NonNullable<HttpRouteMatch["path"]>, report: Report): void {
  const { type = "PathPrefix", value: given = "/" } = value;
  if (type === "RegularExpression") return;
  const error = (message: string, hint?: string): void =>
    report("error", ["value"], `${JSON.stringify(given)} ${message}`, hint);
  if (!given.startsWith("/")) {
    error("does not begin with /", `write /${given}`);
    return;
  }
  const unwanted = ["//", "/./", "/../", "%2f", "%2F", "#"].find((part) => given.includes(part));
  const end = ["/.", "/.."].find((part) => given.endsWith(part));
  if (unwanted !== undefined) error(`contains ${unwanted}, which a request's path never does`);
  else if (end !== undefined) error(`ends with ${end}, which a request's path never does`);
  else if (!PATH_CHARACTERS.test(given)) {
    error("has characters that a path cannot have", "write them as %XX");
  }
}

function checkTimeouts(
  value: { readonly request?: string; readonly backendRequest?: string },
  report: Report,
): void {
  const request = parseGatewayDurationMs(value.request ?? "0s") ?? 0;
  const backendRequest = parseGatewayDurationMs(value.backendRequest ?? "0s") ?? 0;
  if (request === 0 || backendRequest <= request) return;
  const message = `${value.backendRequest} is longer than the whole request may take`;
  report("error", ["backendRequest"], message, `request is ${value.request}`);
}

function checkRule(value: HttpRouteRule, report: Report): void {
  const { filters = [], backendRefs = [], matches } = value;
  checkFilterCombination(filters, ["filters"], report);
  const redirect = filters.findIndex(({ type }) => type === "RequestRedirect");
  if (redirect >= 0 && backendRefs.length > 0) {
    const message = "answers the request itself, so that backendRefs are never used";
    report("error", ["filters", redirect], message, "remove one of the two");
  }
  const checkPrefix = (list: typeof filters, below: readonly (string | number)[]): void => {
    const index = list.findIndex(replacesPrefix);
    if (index < 0 || hasOnePrefix(matches)) return;
    const hint = "give the rule exactly one match, whose path is of type PathPrefix";
    report("error", [...below, index], "ReplacePrefixMatch needs a prefix to replace", hint);
  };
  checkPrefix(filters, ["filters"]);
  backendRefs.forEach((ref, index) => {
    checkFilterCombination(ref.filters, ["backendRefs", index, "filters"], report);
    checkPrefix(ref.filters ?? [], ["backendRefs", index, "filters"]);
  });
}

function hasOnePrefix(matches: HttpRouteRule["matches"]): boolean {
  const [first, ...others] = matches ?? [{}];
  return others.length === 0 && first !== undefined && isPrefix(first);
}

function isPrefix({ path: given }: HttpRouteMatch): boolean {
  return (given?.type ?? "PathPrefix") === "PathPrefix";
}
