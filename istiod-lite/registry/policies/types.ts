/**
 * What converting security policies yields: the shapes that the registry and the status writer
 * read.
 */
import type {
  AuthorizationPolicy,
  Condition,
  PeerAuthentication,
} from "#common/kubernetes/objects.ts";
import type { Authorization } from "#common/model/authorization.ts";

export interface PolicyOptions {
  /** Policies here without a selector cover the whole mesh; "istio-system" unless configured. */
  readonly rootNamespace: string;
  /** The mesh's own. @default none: principals are taken as they are written */
  readonly trustDomain?: string;
  /** Further trust domains whose identities count as the mesh's own. @default none */
  readonly trustDomainAliases?: readonly string[];
}

/**
 * How an issue changed what is enforced. `narrowed`: stricter than written. `no-effect`: the part
 * is not enforced by ztunnel at all, as in Istio. `ignored`: another policy or Istio's rules take
 * precedence.
 * `noted`: enforced as Istio would, but it is probably not what was meant.
 */
export type PolicyEffect = "narrowed" | "no-effect" | "ignored" | "noted";

/** Why: a value or field that is not valid, or a valid one that needs a waypoint. */
export type PolicyCause = "invalid" | "unsupported";

/** One part of a policy that is not enforced as it is written. */
export interface PolicyIssue {
  readonly cause: PolicyCause;
  readonly effect: PolicyEffect;
  /** Index in `spec.rules`; absent when the issue is about the whole policy. */
  readonly rule?: number;
  /** Path below `spec`: `rules[0].from[1].source.ipBlocks[2]`. */
  readonly field: string;
  /** The offending value as JSON, cut to 100 characters. */
  readonly value: string;
  /** What is wrong, what is enforced instead, and what to write. */
  readonly message: string;
}

export interface ConvertedAuthorizationPolicy {
  /** What ztunnel gets; absent when it gets nothing (targetRefs, CUSTOM). */
  readonly authorization?: Authorization;
  /**
   * For each rule of `authorization`, the index in `spec.rules` it came from; -1 for one made up to
   * deny.
   */
  readonly ruleOrigins: readonly number[];
  /**
   * One condition: `ZtunnelAccepted`, or `WaypointAccepted` of a policy that is not ztunnel's
   * (targetRefs).
   */
  readonly conditions: readonly Condition[];
  readonly issues: readonly PolicyIssue[];
}

export interface ConvertedPeerAuthentications {
  /**
   * The static STRICT policy (if there is any PeerAuthentication) and the port-level ones, by key.
   */
  readonly authorizations: readonly Authorization[];
  /** By `<namespace>/<name>` of the PeerAuthentication. */
  readonly issues: ReadonlyMap<string, readonly PolicyIssue[]>;
}

/**
 * What one policy change did. The registry pushes `upserted`/`removed` and re-selects in
 * `affected`.
 */
export interface PolicyChange {
  readonly upserted: readonly Authorization[];
  /** Keys (`<namespace>/<name>`) of authorizations that are gone. */
  readonly removed: readonly string[];
  /**
   * Whose `Workload.authorizationPolicies` may be different now: nobody, one namespace, everyone.
   */
  readonly affected: "none" | "all" | { readonly namespace: string };
  /** Of the changed policy object itself; empty when it was removed. */
  readonly conditions: readonly Condition[];
  readonly issues: readonly PolicyIssue[];
}

/**
 * All policies of the mesh, kept incrementally (`PolicyIndex` of policy-index.ts). Costs follow the
 * change: a workload's selection looks only at selectors of its own and the root namespace that
 * name one of its labels.
 */
export interface Policies {
  /** Adds or replaces a policy. */
  set(policy: AuthorizationPolicy | PeerAuthentication): PolicyChange;
  /** Removes a policy; a change that does nothing if it is not known. */
  remove(
    kind: PolicyKind,
    name: { readonly namespace: string; readonly name: string },
  ): PolicyChange;
  /** Everything ztunnel has to know, by key. */
  authorizations(): ReadonlyMap<string, Authorization>;
  /**
   * Sorted keys of the WORKLOAD_SELECTOR policies of a workload: its
   * `Workload.authorizationPolicies`.
   */
  selectPolicies(labels: Readonly<Record<string, string>>, namespace: string): readonly string[];
}

export type PolicyKind = "AuthorizationPolicy" | "PeerAuthentication";
