/**
 * AuthorizationPolicy to what a waypoint enforces. Admission has refused what cannot be read; what
 * comes past it all the same never widens access: a part that is not understood makes the rule of
 * an ALLOW permit nothing, and that of a DENY apply without it.
 */

import type { AuthorizationPolicy } from "#common/kubernetes/objects.ts";
import type { ExtAuthzProvider, L7Authorization, L7Rule } from "#common/model/waypoint/policy.ts";
import { isJsonObject } from "#common/runtime/json-object.ts";
import { expandPrincipal, type TrustDomains } from "../policies/trust-domains.ts";
import { policyName } from "./targets.ts";

/** `api/annotation/annotations.yaml`: a policy that only reports what it would do. */
const DRY_RUN_ANNOTATION = "istio.io/dry-run";

const ACTIONS = { ALLOW: "allow", DENY: "deny", AUDIT: "audit", CUSTOM: "custom" } as const;

const SOURCE_FIELDS = [
  ...(["principals", "notPrincipals", "namespaces", "notNamespaces"] as const),
  ...(["serviceAccounts", "notServiceAccounts", "ipBlocks", "notIpBlocks"] as const),
  ...(["remoteIpBlocks", "notRemoteIpBlocks"] as const),
  ...(["requestPrincipals", "notRequestPrincipals"] as const),
];
const OPERATION_FIELDS = [
  ...(["hosts", "notHosts", "ports", "notPorts"] as const),
  ...(["methods", "notMethods", "paths", "notPaths"] as const),
];
const VALUE_FIELDS = ["values", "notValues"] as const;

type Lists = Record<string, readonly string[]>;

export function l7Authorization(
  policy: AuthorizationPolicy,
  domains: TrustDomains,
  providerOf: (name: string) => ExtAuthzProvider | undefined,
): L7Authorization {
  const { spec = {}, metadata } = policy;
  const action = ACTIONS[spec.action ?? "ALLOW"] ?? "allow";
  const strict = action === "allow";
  const reader = new RuleReader(metadata.namespace ?? "", domains);
  const rules = (spec.rules ?? []).flatMap((rule) => {
    const { value, whole } = reader.read(rule);
    return whole || !strict ? [value] : [];
  });
  const provider = action === "custom" ? providerOf(spec.provider?.name ?? "") : undefined;
  return {
    key: policyName(policy),
    action,
    dryRun: /^(1|t|T|true|TRUE|True)$/.test(metadata.annotations?.[DRY_RUN_ANNOTATION] ?? ""),
    rules,
    ...(provider && { provider }),
  };
}

class RuleReader {
  readonly #namespace: string;
  readonly #domains: TrustDomains;
  #whole = true;

  constructor(namespace: string, domains: TrustDomains) {
    this.#namespace = namespace;
    this.#domains = domains;
  }

  /** `whole`: every part of it was understood. */
  read(rule: unknown): { readonly value: L7Rule; readonly whole: boolean } {
    this.#whole = true;
    const { from, to, when } = this.#object(rule, ["from", "to", "when"]);
    const value = {
      from: this.#list(from).map((entry) => this.#source(this.#object(entry, ["source"]).source)),
      to: this.#list(to).map((entry) =>
        this.#lists(this.#object(entry, ["operation"]).operation, OPERATION_FIELDS),
      ),
      when: this.#list(when).map((entry) => this.#condition(entry)),
    };
    return { value, whole: this.#whole };
  }

  #source(source: unknown): Lists {
    const lists = this.#lists(source, SOURCE_FIELDS);
    this.#replace(lists, ["principals", "notPrincipals"], this.#principal);
    this.#replace(lists, ["serviceAccounts", "notServiceAccounts"], this.#serviceAccount);
    return lists;
  }

  #condition(condition: unknown): L7Rule["when"][number] {
    const { key, ...rest } = this.#object(condition, ["key", "values", "notValues"]);
    if (typeof key !== "string") this.#whole = false;
    const lists = this.#lists(rest, VALUE_FIELDS);
    if (key === "source.principal") this.#replace(lists, VALUE_FIELDS, this.#principal);
    if (key === "source.serviceAccount") this.#replace(lists, VALUE_FIELDS, this.#serviceAccount);
    return { key: typeof key === "string" ? key : "", ...lists };
  }

  readonly #principal = (written: string): readonly string[] =>
    expandPrincipal(written, this.#domains);

  /** A name alone is one of the policy's namespace. */
  readonly #serviceAccount = (written: string): readonly string[] => [
    written.includes("/") ? written : `${this.#namespace}/${written}`,
  ];

  #replace(
    lists: Lists,
    fields: readonly string[],
    meant: (written: string) => readonly string[],
  ): void {
    for (const field of fields) {
      const given = lists[field];
      if (given !== undefined) lists[field] = given.flatMap(meant);
    }
  }

  #lists(value: unknown, fields: readonly string[]): Lists {
    const found: Lists = {};
    for (const [field, list] of Object.entries(this.#object(value, fields))) {
      if (Array.isArray(list) && list.length > 0 && list.every((v) => typeof v === "string")) {
        found[field] = list;
      } else this.#whole = false;
    }
    return found;
  }

  #list(value: unknown): readonly unknown[] {
    if (value === undefined || value === null) return [];
    // An empty list would hold for everybody: what was to name somebody names nobody.
    if (Array.isArray(value) && value.length > 0) return value;
    this.#whole = false;
    return [];
  }

  #object(value: unknown, fields: readonly string[]): Record<string, unknown> {
    if (!isJsonObject(value)) {
      if (value !== undefined) this.#whole = false;
      return {};
    }
    const known = Object.entries(value).filter(([field]) => fields.includes(field));
    if (known.length < Object.keys(value).length) this.#whole = false;
    return Object.fromEntries(known);
  }
}
