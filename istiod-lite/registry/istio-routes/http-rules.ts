/** The http routes of a VirtualService in the form in which a waypoint gets them. */
import type {
  IstioHttpDestination,
  IstioHttpRoute,
} from "#common/kubernetes/istio-route-objects.ts";
import type { HttpRule, WeightedBackend } from "#common/model/waypoint/http-route.ts";
import { headerOperations } from "./header-operations.ts";
import {
  corsOf,
  directResponseOf,
  durationMs,
  faultOf,
  percentOf,
  redirectOf,
  rewriteOf,
} from "./http-actions.ts";
import { httpMatches } from "./http-matches.ts";
import { retriesOf } from "./retries.ts";
import { originOf, type RoutingContext, resolveDestination, weightOf } from "./routing-context.ts";

/** In their order, those that are for this port. */
export function httpRules(context: RoutingContext): readonly HttpRule[] {
  const { http = [] } = context.virtualService.spec;
  return http.flatMap((route, index) => httpRule(route, index, context) ?? []);
}

function httpRule(
  route: IstioHttpRoute,
  index: number,
  context: RoutingContext,
): HttpRule | undefined {
  const field = `http[${index}]`;
  const matches = httpMatches(route.match, `${field}.match`, context);
  if (matches === undefined) return undefined;
  const origin = originOf(context.virtualService, index, route.name);
  const base = { origin, matches, mirrors: [], backends: [] };
  if (route.delegate !== undefined) {
    const message = "delegation is not supported: the requests of this route get 500";
    context.remarks.add(`${field}.delegate`, message);
    const body = "the route delegates to another VirtualService, which is not supported";
    return { ...base, directResponse: { status: 500, body, headers: [] } };
  }
  return { ...base, ...alwaysOf(route, field, context), ...actionOf(route, field, context) };
}

type Always = Pick<HttpRule, "requestHeaders" | "responseHeaders" | "rewrite" | "cors" | "fault">;

function alwaysOf(route: IstioHttpRoute, field: string, { remarks }: RoutingContext): Always {
  const { headers = {}, rewrite = {}, corsPolicy, fault } = route;
  const request = headerOperations(headers.request ?? {}, `${field}.headers.request`, remarks);
  const response = headerOperations(headers.response ?? {}, `${field}.headers.response`, remarks);
  const rewritten = rewriteOf(rewrite, request.authority);
  const faults = fault && faultOf(fault, `${field}.fault`, remarks);
  return {
    ...(request.modifier && { requestHeaders: request.modifier }),
    ...(response.modifier && { responseHeaders: response.modifier }),
    ...(rewritten && { rewrite: rewritten }),
    ...(corsPolicy && { cors: corsOf(corsPolicy, `${field}.corsPolicy`, remarks) }),
    ...(faults && { fault: faults }),
  };
}

function actionOf(
  route: IstioHttpRoute,
  field: string,
  context: RoutingContext,
): Partial<HttpRule> {
  const { redirect, directResponse, retries } = route;
  const { remarks, port } = context;
  if (redirect !== undefined) return { redirect: redirectOf(redirect, port) };
  if (directResponse !== undefined) {
    return { directResponse: directResponseOf(directResponse, `${field}.directResponse`, remarks) };
  }
  const timeoutMs = durationMs(route.timeout);
  return {
    backends: (route.route ?? []).map((to, i, all) =>
      backendOf(to, `${field}.route[${i}]`, weightOf(to.weight, all), context),
    ),
    mirrors: mirrorsOf(route, field, context),
    ...(timeoutMs > 0 && { timeoutMs }),
    ...(retries && { retry: retriesOf(retries, `${field}.retries`, remarks) }),
  };
}

function backendOf(
  { destination, headers = {} }: IstioHttpDestination,
  field: string,
  weight: number,
  context: RoutingContext,
): WeightedBackend {
  const { remarks } = context;
  const request = headerOperations(headers.request ?? {}, `${field}.headers.request`, remarks);
  const response = headerOperations(headers.response ?? {}, `${field}.headers.response`, remarks);
  if (request.authority !== undefined) {
    const message = "the host cannot be set for one destination: use rewrite.authority";
    remarks.add(`${field}.headers.request.set`, message);
  }
  return {
    ...resolveDestination(destination, `${field}.destination`, context),
    weight,
    ...(request.modifier && { requestHeaders: request.modifier }),
    ...(response.modifier && { responseHeaders: response.modifier }),
  };
}

/** All requests, unless a percentage says otherwise. */
function mirrorsOf(
  route: IstioHttpRoute,
  field: string,
  context: RoutingContext,
): HttpRule["mirrors"] {
  const { mirror, mirrors = [], mirrorPercentage, mirrorPercent } = route;
  const given = mirrors.map(({ destination, percentage }, index) => ({
    ...{ destination, field: `${field}.mirrors[${index}].destination` },
    percent: percentage === undefined ? 100 : percentOf(percentage, undefined),
  }));
  if (mirror !== undefined) {
    const isGiven = mirrorPercentage !== undefined || mirrorPercent !== undefined;
    const percent = isGiven ? percentOf(mirrorPercentage, mirrorPercent) : 100;
    given.push({ destination: mirror, field: `${field}.mirror`, percent });
  }
  return given.flatMap(({ destination, percent, field: at }) => {
    const { backend } = resolveDestination(destination, at, context);
    return backend === undefined ? [] : [{ backend, percent }];
  });
}
