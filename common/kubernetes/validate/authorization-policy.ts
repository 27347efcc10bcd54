/**
 * AuthorizationPolicy. What could be misread here widens access, so everything unknown, empty or
 * unparsable is an error. Sources: istio/api security/v1beta1/authorization_policy.proto and the
 * checks of Istio's own admission (pkg/config/validation).
 */
import type {
  AuthorizationPolicy,
  PolicyCondition,
  PolicySource,
} from "#common/kubernetes/objects.ts";
import { suggest } from "#common/kubernetes/suggest.ts";
import {
  all,
  dnsSubdomain,
  ipOrCidr,
  notEmpty,
  portText,
} from "#common/kubernetes/validate/formats.ts";
import { selector } from "#common/kubernetes/validate/istio-selector.ts";
import { checkTargets, targetRef, targetRefs } from "#common/kubernetes/validate/l7/target-refs.ts";
import { conditions, defineKind } from "#common/kubernetes/validate/metadata.ts";
import {
  list,
  object,
  oneOf,
  type Refusal,
  type Report,
  type Schema,
  strictObject,
  type TextCheck,
  text,
  unserved,
} from "#common/kubernetes/validate/schema.ts";

const values = (check: TextCheck): Schema => list(text(all(notEmpty, check)), { min: 1 });
const anyText: TextCheck = () => undefined;

/**
 * `*` means anything at one end only; elsewhere it is an ordinary character that no identity holds.
 */
const wildcardAtEnd: TextCheck = (value) => {
  if (!value.slice(1, -1).includes("*") && !/^\*.+\*$/.test(value)) return undefined;
  const message = `${JSON.stringify(value)} never matches: its * is not at one end only`;
  return { message, hint: "write an exact value, prefix*, *suffix or *" };
};

const principal: TextCheck = (value) => {
  if (!value.startsWith("spiffe://")) return wildcardAtEnd(value);
  const hint = `write ${value.slice("spiffe://".length)}`;
  return { message: "principals are written without spiffe://: this never matches", hint };
};

const serviceAccountName: TextCheck = (value) => {
  const parts = value.split("/");
  if (parts.length > 2) return badServiceAccount(value);
  return parts.some((part) => dnsSubdomain(part) !== undefined)
    ? badServiceAccount(value)
    : undefined;
};

function badServiceAccount(value: string): Refusal {
  const message = `${JSON.stringify(value)} is no service account`;
  return { message, hint: "write name, or namespace/name; wildcards are not possible" };
}

const SOURCE_FIELDS = {
  principals: values(principal),
  notPrincipals: values(principal),
  namespaces: values(wildcardAtEnd),
  notNamespaces: values(wildcardAtEnd),
  serviceAccounts: values(serviceAccountName),
  notServiceAccounts: values(serviceAccountName),
  ipBlocks: values(ipOrCidr),
  notIpBlocks: values(ipOrCidr),
  requestPrincipals: values(anyText),
  notRequestPrincipals: values(anyText),
  remoteIpBlocks: values(ipOrCidr),
  notRemoteIpBlocks: values(ipOrCidr),
  trustDomains: unserved("error", 'write principals: ["DOMAIN/*"]'),
  notTrustDomains: unserved("error", 'write notPrincipals: ["DOMAIN/*"]'),
};

const source = strictObject<PolicySource>(SOURCE_FIELDS, {
  check: (value, report) => {
    needsOneField(value, report);
    const identity = ["principals", "notPrincipals", "namespaces", "notNamespaces"];
    for (const field of ["serviceAccounts", "notServiceAccounts"]) {
      const other = identity.find((name) => Object.hasOwn(value, name));
      if (!Object.hasOwn(value, field) || other === undefined) continue;
      report("error", [field], `cannot be combined with ${other}`, "use one of the two");
    }
  },
});

const operation = strictObject<object>(
  {
    ports: values(portText),
    notPorts: values(portText),
    hosts: values(anyText),
    notHosts: values(anyText),
    methods: values(anyText),
    notMethods: values(anyText),
    paths: values(anyText),
    notPaths: values(anyText),
  },
  { check: needsOneField },
);

function needsOneField(value: object, report: Report): void {
  if (Object.keys(value).length > 0) return;
  report("error", [], "is empty: it would match everything", "give at least one field");
}

/** Keys of `when`, and how their values are written. */
const CONDITION_KEYS: Readonly<Record<string, TextCheck>> = {
  "source.ip": ipOrCidr,
  "remote.ip": ipOrCidr,
  "source.namespace": wildcardAtEnd,
  "source.principal": principal,
  "source.serviceAccount": serviceAccountName,
  "source.trustDomain": anyText,
  "request.auth.principal": anyText,
  "request.auth.audiences": anyText,
  "request.auth.presenter": anyText,
  "destination.ip": ipOrCidr,
  "destination.port": portText,
  "connection.sni": anyText,
};

const CONDITION_PATTERNS = [
  /^request\.headers\[[^[\]]+\]$/,
  /^request\.auth\.claims(\[[^[\]]+\])+$/,
  /^experimental\.envoy\.filters\..+\[.+\]$/,
];

const condition = strictObject<PolicyCondition>(
  { key: text(notEmpty), values: values(anyText), notValues: values(anyText) },
  { required: ["key"], check: checkCondition },
);

function checkCondition(value: PolicyCondition, report: Report): void {
  if (value.values === undefined && value.notValues === undefined) {
    report("error", [], "has neither values nor notValues", "give one of the two");
  }
  const known = Object.hasOwn(CONDITION_KEYS, value.key) ? CONDITION_KEYS[value.key] : undefined;
  if (known === undefined) {
    if (CONDITION_PATTERNS.some((pattern) => pattern.test(value.key))) return;
    const near = suggest(value.key, Object.keys(CONDITION_KEYS));
    const list = `known: ${Object.keys(CONDITION_KEYS).join(", ")}, request.headers[..]`;
    const hint = near === undefined ? list : `did you mean ${near}?`;
    report("error", ["key"], `${JSON.stringify(value.key)} is an unknown attribute`, hint);
    return;
  }
  for (const field of ["values", "notValues"] as const) {
    value[field]?.forEach((item, index) => {
      const refusal = known(item);
      if (refusal !== undefined) report("error", [field, index], refusal.message, refusal.hint);
    });
  }
}

const rule = strictObject({
  from: list(strictObject({ source }, { required: ["source"] }), { min: 1 }),
  to: list(strictObject({ operation }, { required: ["operation"] }), { min: 1 }),
  when: list(condition, { min: 1 }),
});

const spec = strictObject<PolicySpec>(
  {
    selector,
    targetRef,
    targetRefs,
    rules: list(rule),
    action: oneOf("ALLOW", "DENY", "AUDIT", "CUSTOM"),
    provider: strictObject({ name: text(notEmpty) }, { required: ["name"] }),
  },
  { check: checkSpec },
);

type PolicySpec = NonNullable<AuthorizationPolicy["spec"]>;

export const authorizationPolicy = defineKind<AuthorizationPolicy>({
  kind: "AuthorizationPolicy",
  group: "security.istio.io",
  versions: ["v1", "v1beta1"],
  name: dnsSubdomain,
  strict: true,
  fields: { spec, status: object({ conditions }) },
  check: checkTargets,
});

function checkSpec(value: PolicySpec, report: Report): void {
  const { action = "ALLOW" } = value;
  if ((action === "DENY" || action === "CUSTOM") && (value.rules ?? []).length === 0) {
    const hint = "add rules; `rules: [{}]` matches every request";
    report("error", ["rules"], `a policy with action ${action} and no rules never applies`, hint);
  }
  if ((action === "CUSTOM") !== (value.provider !== undefined)) {
    report("error", ["provider"], "belongs to action CUSTOM, which needs it, and to no other");
  }
}
