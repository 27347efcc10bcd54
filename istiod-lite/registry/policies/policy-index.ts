/** All security policies of the mesh, kept incrementally: see the `Policies` interface. */
import type { AuthorizationPolicy, PeerAuthentication } from "#common/kubernetes/objects.ts";
import { type Authorization, policyKey } from "#common/model/authorization.ts";
import {
  convertAuthorizationPolicy,
  type SelectedAuthorizationPolicy,
} from "./convert-authorization-policy.ts";
import { PeerAuthenticationIndex } from "./peer-authentication-index.ts";
import { type Labels, SelectorIndex, selectsAll } from "./selector.ts";
import type { Policies, PolicyChange, PolicyKind, PolicyOptions } from "./types.ts";

interface Name {
  readonly namespace: string;
  readonly name: string;
}

export class PolicyIndex implements Policies {
  readonly #options: PolicyOptions;
  readonly #peers: PeerAuthenticationIndex;
  readonly #converted = new Map<string, SelectedAuthorizationPolicy>();
  readonly #authorizations = new Map<string, Authorization>();
  /** By namespace: the keys of policies with a selector. */
  readonly #selecting = new Map<string, SelectorIndex<string>>();

  constructor(options: PolicyOptions) {
    this.#options = options;
    this.#peers = new PeerAuthenticationIndex(options);
  }

  set(policy: AuthorizationPolicy | PeerAuthentication): PolicyChange {
    if (policy.kind === "PeerAuthentication") return this.#setPeers(policy);
    const { name, namespace = "" } = policy.metadata;
    return this.#replace({ namespace, name }, convertAuthorizationPolicy(policy, this.#options));
  }

  remove(kind: PolicyKind, name: Name): PolicyChange {
    if (kind === "AuthorizationPolicy") return this.#replace(name, undefined);
    return this.#merge({ ...this.#peers.remove(name), conditions: [], issues: [] });
  }

  authorizations(): ReadonlyMap<string, Authorization> {
    return this.#authorizations;
  }

  selectPolicies(labels: Labels, namespace: string): readonly string[] {
    const keys = [...this.#peers.select(labels, namespace)];
    for (const from of new Set([namespace, this.#options.rootNamespace])) {
      keys.push(...(this.#selecting.get(from)?.find(labels) ?? []));
    }
    return keys.sort();
  }

  /** PeerAuthentication has no ztunnel condition in Istio: its issues are told another way. */
  #setPeers(policy: PeerAuthentication): PolicyChange {
    return this.#merge({ ...this.#peers.set(policy), conditions: [] });
  }

  #merge(change: PolicyChange): PolicyChange {
    for (const key of change.removed) this.#authorizations.delete(key);
    for (const policy of change.upserted) this.#authorizations.set(policyKey(policy), policy);
    return change;
  }

  #replace(name: Name, next: SelectedAuthorizationPolicy | undefined): PolicyChange {
    const key = policyKey(name);
    const previous = this.#converted.get(key);
    if (next === undefined) this.#converted.delete(key);
    else this.#converted.set(key, next);
    const moved = JSON.stringify(selectorOf(previous)) !== JSON.stringify(selectorOf(next));
    if (moved) this.#refile(name, selectorOf(previous), selectorOf(next));
    const { authorization } = next ?? {};
    const same = JSON.stringify(previous?.authorization) === JSON.stringify(authorization);
    return this.#merge({
      upserted: authorization === undefined || same ? [] : [authorization],
      removed: authorization === undefined && previous?.authorization !== undefined ? [key] : [],
      affected: moved ? this.#coverage(name.namespace) : "none",
      conditions: next?.conditions ?? [],
      issues: next?.issues ?? [],
    });
  }

  #coverage(namespace: string): PolicyChange["affected"] {
    return namespace === this.#options.rootNamespace ? "all" : { namespace };
  }

  #refile(name: Name, previous: Labels | undefined, next: Labels | undefined): void {
    const { namespace } = name;
    const index = this.#selecting.get(namespace) ?? new SelectorIndex<string>();
    if (previous !== undefined) index.delete(previous, policyKey(name));
    if (next !== undefined) index.add(next, policyKey(name));
    if (index.size === 0) this.#selecting.delete(namespace);
    else this.#selecting.set(namespace, index);
  }
}

/** The labels by which workloads list the policy; undefined if they do not. */
function selectorOf(policy: SelectedAuthorizationPolicy | undefined): Labels | undefined {
  if (policy?.authorization === undefined || selectsAll(policy.selector)) return undefined;
  return policy.selector;
}
