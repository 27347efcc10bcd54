/** GRPCRoute. Source: its CRD in sigs.k8s.io/gateway-api (channel experimental) and CEL rules. */
import {
  GATEWAY_GROUP,
  type GRPCRoute,
  type GrpcRouteMatch,
  type GrpcRouteRule,
} from "#common/kubernetes/route-objects.ts";
import { dnsSubdomain } from "#common/kubernetes/validate/formats.ts";
import { defineKind } from "#common/kubernetes/validate/metadata.ts";
import { grpcFilters } from "#common/kubernetes/validate/routes/filters.ts";
import {
  checkMatchCount,
  MAX_RULE_MATCHES,
} from "#common/kubernetes/validate/routes/http-route.ts";
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
  headerName,
  hostname,
  sectionName,
  sized,
} from "#common/kubernetes/validate/routes/texts.ts";
import {
  list,
  oneOf,
  type Report,
  strictObject,
  text,
} from "#common/kubernetes/validate/schema.ts";

type MethodMatch = NonNullable<GrpcRouteMatch["method"]>;

const MAX_METHOD = 1_024;
const MAX_HEADER_VALUE = 4_096;
const SERVICE = /^\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$/i;
const METHOD = /^[A-Za-z_][A-Za-z_0-9]*$/;
const comparison = oneOf("Exact", "RegularExpression");

const method = strictObject<MethodMatch>(
  { type: comparison, service: text(sized(MAX_METHOD, 0)), method: text(sized(MAX_METHOD, 0)) },
  { check: checkMethod },
);

const match = strictObject<GrpcRouteMatch>({
  method,
  headers: list<{ name: string }>(
    strictObject(
      { type: comparison, name: headerName, value: text(sized(MAX_HEADER_VALUE)) },
      { required: ["name", "value"] },
    ),
    { max: MAX_ITEMS, unique: (header) => `name ${header.name}` },
  ),
});

const rule = strictObject<GrpcRouteRule>({
  name: sectionName,
  matches: list(match, { max: MAX_RULE_MATCHES }),
  filters: grpcFilters,
  backendRefs: list(backendRef(grpcFilters), { max: MAX_ITEMS }),
  sessionPersistence,
});

export const grpcRoute = defineKind({
  kind: "GRPCRoute",
  group: GATEWAY_GROUP,
  versions: ["v1"],
  name: dnsSubdomain,
  required: ["spec"],
  strict: true,
  fields: {
    spec: strictObject<GRPCRoute["spec"]>(
      {
        ...PARENT_FIELDS,
        hostnames: list(hostname, { max: MAX_ITEMS }),
        rules: list<GrpcRouteRule>(rule, { max: MAX_ITEMS, unique: uniqueRule }),
      },
      {
        check: (spec, report) => {
          checkParents(spec.parentRefs, report);
          const counted = (spec.rules ?? []).map(({ matches = [] }) => ({ matches }));
          checkMatchCount(counted, report);
        },
      },
    ),
    status: routeStatus,
  },
});

function checkMethod(value: MethodMatch, report: Report): void {
  if (value.service === undefined && value.method === undefined) {
    report("error", [], "names neither a service nor a method", "give one of the two, or both");
  }
  if ((value.type ?? "Exact") !== "Exact") return;
  for (const [field, format] of [
    ["service", SERVICE],
    ["method", METHOD],
  ] as const) {
    const given = value[field];
    if (given === undefined || format.test(given)) continue;
    const hint = "letters, digits and _, a service's parts joined by dots; else RegularExpression";
    report("error", [field], `${JSON.stringify(given)} is no gRPC ${field}`, hint);
  }
}
