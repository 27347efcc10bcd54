/** TCPRoute and TLSRoute. Source: their CRDs in sigs.k8s.io/gateway-api and CEL rules. */
import {
  GATEWAY_GROUP,
  type L4RouteRule,
  type TCPRoute,
  type TLSRoute,
} from "#common/kubernetes/route-objects.ts";
import { dnsSubdomain } from "#common/kubernetes/validate/formats.ts";
import { defineKind } from "#common/kubernetes/validate/metadata.ts";
import {
  backendRef,
  checkParents,
  MAX_ITEMS,
  PARENT_FIELDS,
  routeStatus,
  uniqueRule,
} from "#common/kubernetes/validate/routes/references.ts";
import { hostname, sectionName } from "#common/kubernetes/validate/routes/texts.ts";
import { list, type Report, strictObject } from "#common/kubernetes/validate/schema.ts";
import { parseIp } from "#common/model/ip.ts";

const MAX_HOSTNAMES = 1_024;

const rules = list<L4RouteRule>(
  strictObject(
    { name: sectionName, backendRefs: list(backendRef(), { min: 1, max: MAX_ITEMS }) },
    { required: ["backendRefs"] },
  ),
  { min: 1, max: MAX_ITEMS, unique: uniqueRule },
);

export const tcpRoute = defineKind<TCPRoute>({
  kind: "TCPRoute",
  group: GATEWAY_GROUP,
  versions: ["v1", "v1alpha2"],
  name: dnsSubdomain,
  required: ["spec"],
  strict: true,
  fields: {
    spec: strictObject<TCPRoute["spec"]>(
      { ...PARENT_FIELDS, rules },
      { required: ["rules"], check: (spec, report) => checkParents(spec.parentRefs, report) },
    ),
    status: routeStatus,
  },
  check: (route, report) => checkRuleCount(route, ["v1"], report),
});

export const tlsRoute = defineKind<TLSRoute>({
  kind: "TLSRoute",
  group: GATEWAY_GROUP,
  versions: ["v1", "v1alpha3", "v1alpha2"],
  name: dnsSubdomain,
  required: ["spec"],
  strict: true,
  fields: {
    spec: strictObject<TLSRoute["spec"]>(
      { ...PARENT_FIELDS, hostnames: list(hostname, { max: MAX_HOSTNAMES }), rules },
      { required: ["rules"], check: (spec, report) => checkParents(spec.parentRefs, report) },
    ),
    status: routeStatus,
  },
  check: (route, report) => {
    checkRuleCount(route, ["v1", "v1alpha3"], report);
    if (versionOf(route) !== "v1alpha2") checkHostnames(route, report);
  },
});

function versionOf({ apiVersion }: TCPRoute | TLSRoute): string {
  return apiVersion.slice(apiVersion.indexOf("/") + 1);
}

/** Nothing tells the connections of one rule from those of another, so newer versions have one. */
function checkRuleCount(
  route: TCPRoute | TLSRoute,
  versions: readonly string[],
  report: Report,
): void {
  if (route.spec.rules.length < 2 || !versions.includes(versionOf(route))) return;
  const message = `has ${route.spec.rules.length} items, and ${route.kind} has one rule only`;
  report("error", ["spec", "rules"], message, "write a route for each");
}

function checkHostnames({ spec }: TLSRoute, report: Report): void {
  const { hostnames = [] } = spec;
  if (hostnames.length === 0) {
    const hint = "write the server names (SNI) that the route is for";
    report("error", ["spec", "hostnames"], "is required but missing", hint);
  }
  hostnames.forEach((name, index) => {
    if (parseIp(name) === undefined) return;
    report("error", ["spec", "hostnames", index], "is an IP address, which is never a server name");
  });
}
