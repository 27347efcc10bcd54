/**
 * One route as a waypoint gets it. What a rule asks for and cannot have never leaves it open: its
 * requests are answered with 500, as are those that a reference without a target would have got.
 */
import type {
  GatewayRoute,
  GRPCRoute,
  HTTPRoute,
  TCPRoute,
  TLSRoute,
} from "#common/kubernetes/objects.ts";
import type {
  GrpcRouteRule,
  HttpRouteRule,
  RouteBackendRef,
} from "#common/kubernetes/route-objects.ts";
import type { HttpRule, Origin, WeightedBackend } from "#common/model/waypoint/http-route.ts";
import type { TcpRule } from "#common/model/waypoint/resource.ts";
import { backendFilters, ruleFilters } from "./http-filters.ts";
import { grpcMatches, httpMatches } from "./http-matches.ts";
import { parentOf } from "./reference-keys.ts";
import { type Referrer, type ResolveDeps, resolveBackend } from "./resolve-backend.ts";
import { timeoutsOf } from "./retry.ts";
import { type RouteIssue, RuleIssues } from "./route-issue.ts";

export interface ConvertedRoute {
  /** Of an HTTPRoute or GRPCRoute, in their order. */
  readonly http: readonly HttpRule[];
  /** Of a TCPRoute or TLSRoute. */
  readonly l4: readonly TcpRule[];
  readonly issues: readonly RouteIssue[];
  readonly ruleCount: number;
}

const ERROR_RESPONSE = { status: 500, body: "", headers: [] } as const;

export function convertRoute(route: GatewayRoute, deps: ResolveDeps): ConvertedRoute {
  const rules = rulesOf(route);
  const issues = rules.map((_, index) => new RuleIssues(index));
  const from = referrerOf(route);
  const convert = { route, from, deps };
  const http: HttpRule[] = [];
  const l4: TcpRule[] = [];
  rules.forEach((rule, index) => {
    const found = issues[index] ?? new RuleIssues(index);
    if (route.kind === "HTTPRoute" || route.kind === "GRPCRoute") {
      http.push(...httpRule(rule, found, { ...convert, route }));
    } else {
      const backends = l4Backends(rule.backendRefs ?? [], found, convert);
      l4.push({ origin: originOf(route, rule, index), backends });
    }
  });
  return { http, l4, issues: issues.flatMap(({ all }) => all), ruleCount: rules.length };
}

export function referrerOf(route: GatewayRoute): Referrer {
  const { namespace = "default" } = route.metadata;
  const parents = (route.spec.parentRefs ?? []).flatMap((ref) => parentOf(ref, namespace) ?? []);
  return { kind: route.kind, namespace, parents };
}

type AnyRule = HttpRouteRule | GrpcRouteRule;

/** An HTTPRoute without rules has one without anything, as its CRD says. */
function rulesOf(route: GatewayRoute): readonly AnyRule[] {
  const { rules } = route.spec;
  return rules ?? (route.kind === "HTTPRoute" ? [{}] : []);
}

interface Conversion<Route extends GatewayRoute = GatewayRoute> {
  readonly route: Route;
  readonly from: Referrer;
  readonly deps: ResolveDeps;
}

/** None for a rule of which no match can be used. */
function httpRule(
  rule: AnyRule,
  issues: RuleIssues,
  { route, from, deps }: Conversion<HTTPRoute | GRPCRoute>,
): readonly HttpRule[] {
  const matches = matchesOf(route, rule, issues);
  if (rule.sessionPersistence !== undefined) {
    const message = "is not supported: requests are balanced without regard to it";
    issues.add("sessionPersistence", message, { kind: "ignored" });
  }
  const resolve = (ref: RouteBackendRef) => resolveBackend(ref, from, deps);
  const filters = ruleFilters(rule.filters, issues, resolve);
  const backends = (rule.backendRefs ?? []).map((ref, index) => {
    const field = `backendRefs[${index}]`;
    const headers = backendFilters(ref.filters, field, issues);
    return { ...weighted(ref, field, issues, { route, from, deps }), ...headers };
  });
  if (matches.length === 0) return [];
  const base = { origin: originOf(route, rule, issues.rule), matches };
  if (issues.isUnsupported) {
    return [{ ...base, directResponse: ERROR_RESPONSE, mirrors: [], backends: [] }];
  }
  const timeouts = route.kind === "HTTPRoute" ? timeoutsOf(rule as HttpRouteRule) : {};
  return [{ ...base, ...filters, ...timeouts, backends }];
}

function matchesOf(route: HTTPRoute | GRPCRoute, rule: AnyRule, issues: RuleIssues) {
  // Which of the two shapes it is follows from the kind of its route.
  if (route.kind === "GRPCRoute") return grpcMatches((rule as GrpcRouteRule).matches, issues);
  return httpMatches((rule as HttpRouteRule).matches, issues);
}

function l4Backends(
  refs: readonly RouteBackendRef[],
  issues: RuleIssues,
  conversion: Conversion,
): TcpRule["backends"] {
  return refs.map((ref, index) => weighted(ref, `backendRefs[${index}]`, issues, conversion));
}

function weighted(
  ref: RouteBackendRef,
  field: string,
  issues: RuleIssues,
  { from, deps }: Conversion,
): Pick<WeightedBackend, "backend" | "invalid" | "weight"> {
  const { weight = 1 } = ref;
  const resolved = resolveBackend(ref, from, deps);
  if (resolved.backend !== undefined) return { backend: resolved.backend, weight };
  issues.add(field, resolved.message, resolved.cause);
  return { invalid: resolved.message, weight };
}

function originOf(
  { kind, metadata }: HTTPRoute | GRPCRoute | TCPRoute | TLSRoute,
  { name }: { readonly name?: string },
  rule: number,
): Origin {
  return {
    kind,
    namespace: metadata.namespace ?? "default",
    name: metadata.name,
    rule,
    ...(name !== undefined && { ruleName: name }),
  };
}
