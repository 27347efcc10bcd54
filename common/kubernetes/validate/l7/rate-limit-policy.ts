/** RateLimitPolicy, our own: docs/l7-policies.md is its description. */
import { parseGatewayDurationMs } from "#common/kubernetes/gateway-duration.ts";
import type {
  RateLimitKey,
  RateLimitPolicy,
  RateLimitRule,
} from "#common/kubernetes/l7-policy-objects.ts";
import { dnsSubdomain, notEmpty } from "#common/kubernetes/validate/formats.ts";
import { headerName } from "#common/kubernetes/validate/l7/request-authentication.ts";
import {
  checkTargets,
  type TargetGroups,
  targetRefs,
} from "#common/kubernetes/validate/l7/target-refs.ts";
import { conditions, defineKind } from "#common/kubernetes/validate/metadata.ts";
import {
  integer,
  list,
  object,
  oneOf,
  port,
  type Refusal,
  strictObject,
  text,
} from "#common/kubernetes/validate/schema.ts";

function duration(value: string): Refusal | undefined {
  if ((parseGatewayDurationMs(value) ?? 0) > 0) return undefined;
  return { message: `${JSON.stringify(value)} is no duration`, hint: "write 1s, 1m or 1h30m" };
}

/** Keys that name something; the others have no name. */
const NAMED = new Set(["Header", "Claim", "Constant"]);

const key = strictObject<RateLimitKey>(
  {
    type: oneOf("Identity", "Header", "Claim", "SourceIP", "Path", "Method", "Constant"),
    name: text(notEmpty),
  },
  {
    required: ["type"],
    check: ({ type, name }, report) => {
      if (NAMED.has(type) === (name !== undefined)) return;
      const message = name === undefined ? `is needed for type ${type}` : `is not of type ${type}`;
      report("error", ["name"], message);
    },
  },
);

const match = strictObject({
  pathPrefix: text(notEmpty),
  methods: list(text(notEmpty), { max: 20 }),
  headers: list(
    strictObject({ name: text(headerName), value: text() }, { required: ["name", "value"] }),
    { max: 16 },
  ),
});

const service = strictObject(
  { name: text(notEmpty), namespace: text(), port },
  { required: ["name", "port"] },
);

const limit = strictObject<RateLimitRule>(
  {
    matches: list(match, { max: 16 }),
    keys: list(key, { max: 8 }),
    local: strictObject(
      { requests: integer(1), per: text(duration), burst: integer(1) },
      { required: ["requests", "per"] },
    ),
    global: strictObject(
      {
        service,
        domain: text(notEmpty),
        timeout: text(duration),
        failureMode: oneOf("Allow", "Deny"),
      },
      { required: ["service", "domain"] },
    ),
  },
  {
    check: ({ local, global }, report) => {
      if (local === undefined && global === undefined) {
        report("error", [], "limits nothing", "give local, or global, or both");
      }
    },
  },
);

/** Limits can be of what a route takes; the other policies hold before it is known which one. */
const ROUTE_GROUPS: TargetGroups = {
  HTTPRoute: "gateway.networking.k8s.io",
  GRPCRoute: "gateway.networking.k8s.io",
};

export const rateLimitPolicy = defineKind<RateLimitPolicy>({
  kind: "RateLimitPolicy",
  group: "ambientmesh.dev",
  versions: ["v1alpha1"],
  name: dnsSubdomain,
  strict: true,
  required: ["spec"],
  fields: {
    spec: strictObject(
      { targetRefs, limits: list(limit, { min: 1, max: 16 }) },
      { required: ["targetRefs", "limits"] },
    ),
    status: object({ conditions }),
  },
  check: (policy, report) => checkTargets(policy, report, ROUTE_GROUPS),
});
