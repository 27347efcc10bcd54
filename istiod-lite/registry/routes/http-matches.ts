/** The matches of HTTPRoutes and GRPCRoutes in the form in which a waypoint gets them. */
import { RE2JS } from "re2js";
import type {
  GrpcRouteMatch,
  HttpRouteMatch,
  ValueMatch,
} from "#common/kubernetes/route-objects.ts";
import type { HttpMatch, StringMatch } from "#common/model/waypoint/http-route.ts";
import { describeError } from "#common/runtime/errors.ts";
import { REGEX_PROGRAM_SIZE } from "./limits.ts";
import type { RuleIssues } from "./route-issue.ts";

/** Any one segment of a gRPC request's path, which is `/<service>/<method>`. */
const ANY_SEGMENT = "[^/]+";

/** A match that cannot be used is left out, and said to be unsupported. */
export function httpMatches(
  matches: readonly HttpRouteMatch[] = [{}],
  issues: RuleIssues,
): readonly HttpMatch[] {
  // Given but empty is what the API server makes of no matches, too.
  const given = matches.length === 0 ? [{}] : matches;
  return given.flatMap((match, index) => httpMatch(match, `matches[${index}]`, issues) ?? []);
}

export function grpcMatches(
  matches: readonly GrpcRouteMatch[] = [],
  issues: RuleIssues,
): readonly HttpMatch[] {
  const given = matches.length === 0 ? [{}] : matches;
  return given.flatMap((match, index) => grpcMatch(match, `matches[${index}]`, issues) ?? []);
}

function httpMatch(
  { path = {}, method, headers = [], queryParams = [] }: HttpRouteMatch,
  field: string,
  issues: RuleIssues,
): HttpMatch | undefined {
  const compared = new Regexes(field, issues);
  const match: HttpMatch = {
    path: httpPath(path, compared),
    ...(method !== undefined && { method: { kind: "exact", value: method } }),
    headers: headerMatches(headers, compared),
    queryParams: unique(queryParams, (name) => name).map((param) => ({
      name: param.name,
      match: compared.value(param, "queryParams"),
    })),
    sourceNamespaces: [],
  };
  return compared.areFine ? match : undefined;
}

/** Trailing slashes do not count in a prefix: /a/ matches /a too. */
function httpPath(
  { type = "PathPrefix", value = "/" }: NonNullable<HttpRouteMatch["path"]>,
  regexes: Regexes,
): NonNullable<HttpMatch["path"]> {
  if (type === "Exact") return { kind: "exact", value };
  if (type === "RegularExpression") return { kind: "regex", value: regexes.check(value, "path") };
  return { kind: "path-prefix", value: value.replace(/\/$/, "") || "/" };
}

function grpcMatch(
  { method = {}, headers = [] }: GrpcRouteMatch,
  field: string,
  issues: RuleIssues,
): HttpMatch | undefined {
  const regexes = new Regexes(field, issues);
  const path = grpcPath(method, regexes);
  const match: HttpMatch = {
    ...(path !== undefined && { path }),
    grpc: true,
    headers: headerMatches(headers, regexes),
    queryParams: [],
    sourceNamespaces: [],
  };
  return regexes.areFine ? match : undefined;
}

function grpcPath(
  { type = "Exact", service = "", method = "" }: NonNullable<GrpcRouteMatch["method"]>,
  regexes: Regexes,
): HttpMatch["path"] | undefined {
  if (service === "" && method === "") return undefined;
  if (type === "RegularExpression") {
    const parts = [service, method].map((part) => (part === "" ? ANY_SEGMENT : `(?:${part})`));
    return { kind: "regex", value: regexes.check(`/${parts.join("/")}`, "method") };
  }
  // A leading dot says that the name is complete; on the wire it is that anyway.
  const name = service.replace(/^\./, "");
  if (method === "") return { kind: "prefix", value: `/${name}/` };
  // Validation lets no special characters into an exact method.
  if (service === "") return { kind: "regex", value: `/${ANY_SEGMENT}/${method}` };
  return { kind: "exact", value: `/${name}/${method}` };
}

function headerMatches(headers: readonly ValueMatch[], regexes: Regexes): HttpMatch["headers"] {
  return unique(headers, (name) => name.toLowerCase()).map((header) => ({
    name: header.name.toLowerCase(),
    match: regexes.value(header, "headers"),
  }));
}

/** Of several with an equivalent name the first counts (HTTPHeaderMatch.name). */
export function unique<Item extends { readonly name: string }>(
  items: readonly Item[],
  identity: (name: string) => string,
): readonly Item[] {
  const seen = new Set<string>();
  return items.filter(({ name }) => {
    const key = identity(name);
    return seen.has(key) ? false : seen.add(key);
  });
}

/** The comparisons of one match; a regular expression that is none spoils it. */
class Regexes {
  readonly #field: string;
  readonly #issues: RuleIssues;
  areFine = true;

  constructor(field: string, issues: RuleIssues) {
    this.#field = field;
    this.#issues = issues;
  }

  value({ type = "Exact", value }: ValueMatch, field: string): StringMatch {
    if (type === "Exact") return { kind: "exact", value };
    return { kind: "regex", value: this.check(value, field) };
  }

  check(pattern: string, field: string): string {
    const why = whyNotRegex(pattern);
    if (why !== undefined) {
      this.#issues.unsupported(`${this.#field}.${field}`, why);
      this.areFine = false;
    }
    return pattern;
  }
}

function whyNotRegex(pattern: string): string | undefined {
  try {
    if (RE2JS.compile(pattern).programSize() <= REGEX_PROGRAM_SIZE) return undefined;
    return "is too large a regular expression: shorten it, or repeat less in it";
  } catch (error) {
    return `is no RE2 regular expression: ${describeError(error)}`;
  }
}
