/**
 * L4 authorization policies as the data plane enforces them (Istio's
 * `istio.security.Authorization`). Rules are OR'd; the clauses of a rule are AND'd; the matches of
 * a clause are OR'd; the fields of a match are AND'd; the values of a field are OR'd, and a hit on
 * any `not…` value fails the match.
 */
import type { Cidr } from "./ip.ts";

export type PolicyScope = "global" | "namespace" | "workload-selector";
/**
 * `audit` never decides: what it matches is told. Istio's ztunnel has no such action; it is our own
 * extension of the wire (common/xds/encode-authorization.ts).
 */
export type PolicyAction = "allow" | "deny" | "audit";

export type StringMatch =
  | { readonly kind: "exact"; readonly value: string }
  | { readonly kind: "prefix"; readonly value: string }
  | { readonly kind: "suffix"; readonly value: string }
  | { readonly kind: "presence" };

export interface ServiceAccountMatch {
  readonly namespace: string;
  readonly serviceAccount: string;
}

/**
 * Every field is a list, empty when absent. A match with all lists empty never matches by itself.
 */
export interface Match {
  readonly namespaces: readonly StringMatch[];
  readonly notNamespaces: readonly StringMatch[];
  readonly principals: readonly StringMatch[];
  readonly notPrincipals: readonly StringMatch[];
  readonly serviceAccounts: readonly ServiceAccountMatch[];
  readonly notServiceAccounts: readonly ServiceAccountMatch[];
  readonly sourceIps: readonly Cidr[];
  readonly notSourceIps: readonly Cidr[];
  readonly destinationIps: readonly Cidr[];
  readonly notDestinationIps: readonly Cidr[];
  readonly destinationPorts: readonly number[];
  readonly notDestinationPorts: readonly number[];
}

export interface Clause {
  readonly matches: readonly Match[];
}

export interface Rule {
  readonly clauses: readonly Clause[];
}

export interface Authorization {
  readonly name: string;
  readonly namespace: string;
  readonly scope: PolicyScope;
  readonly action: PolicyAction;
  readonly rules: readonly Rule[];
  readonly dryRun: boolean;
  /**
   * What of it this version could not read, for people; absent for a policy that was read whole.
   * `rules` then holds the policy at its strictest: never wider than its author meant.
   */
  readonly unreadable?: readonly string[];
}

/**
 * `<namespace>/<name>`: the xDS name of a policy and what `Workload.authorizationPolicies` lists.
 */
export function policyKey(policy: { readonly namespace: string; readonly name: string }): string {
  return `${policy.namespace}/${policy.name}`;
}

/** A match without any field, to be spread under the ones that are set. */
export const EMPTY_MATCH: Match = {
  namespaces: [],
  notNamespaces: [],
  principals: [],
  notPrincipals: [],
  serviceAccounts: [],
  notServiceAccounts: [],
  sourceIps: [],
  notSourceIps: [],
  destinationIps: [],
  notDestinationIps: [],
  destinationPorts: [],
  notDestinationPorts: [],
};
