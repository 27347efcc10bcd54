/**
 * All PeerAuthentications, kept incrementally: which mode each level has, the policies made from
 * them, and which of those a workload has to list. On each level the oldest policy counts and the
 * others are ignored.
 */
import type { PeerAuthentication } from "#common/kubernetes/objects.ts";
import { type Authorization, policyKey } from "#common/model/authorization.ts";
import { convertedPeerAuthenticationName, staticStrictName } from "./names.ts";
import {
  comparePrecedence,
  effectiveMtls,
  type Mode,
  one,
  type ParsedPeerAuthentication,
  PLAINTEXT,
  parsePeerAuthentication,
  portPolicy,
} from "./peer-authentication.ts";
import { type Labels, SelectorIndex } from "./selector.ts";
import type { ConvertedPeerAuthentications, PolicyChange, PolicyOptions } from "./types.ts";

/** The static and port-level policies for all PeerAuthentications at once. */
export function convertPeerAuthentications(
  all: Iterable<PeerAuthentication>,
  options: PolicyOptions,
): ConvertedPeerAuthentications {
  const index = new PeerAuthenticationIndex(options);
  for (const policy of all) index.set(policy);
  const authorizations = [...index.authorizations.values()].sort(byKey);
  return { authorizations, issues: index.issues() };
}

type Effects = Pick<PolicyChange, "upserted" | "removed" | "affected">;

/** The policies of one namespace, by level. */
class NamespaceLevel {
  readonly wide = new Set<ParsedPeerAuthentication>();
  readonly selecting = new SelectorIndex<ParsedPeerAuthentication>();
  readonly withPorts = new Set<ParsedPeerAuthentication>();

  isEmpty(): boolean {
    return this.wide.size === 0 && this.selecting.size === 0;
  }
}

export class PeerAuthenticationIndex {
  /** By key: what ztunnel has to know. */
  readonly authorizations = new Map<string, Authorization>();
  readonly #options: PolicyOptions;
  readonly #policies = new Map<string, ParsedPeerAuthentication>();
  readonly #namespaces = new Map<string, NamespaceLevel>();

  constructor(options: PolicyOptions) {
    this.#options = options;
  }

  set(policy: PeerAuthentication): Effects & Pick<PolicyChange, "issues"> {
    const parsed = parsePeerAuthentication(policy, this.#options);
    return { ...this.#replace(policyKey(parsed), parsed), issues: parsed.issues };
  }

  remove(name: { readonly namespace: string; readonly name: string }): Effects {
    return this.#replace(policyKey(name), undefined);
  }

  issues(): ConvertedPeerAuthentications["issues"] {
    return new Map([...this.#policies].map(([key, policy]) => [key, policy.issues]));
  }

  /**
   * The keys that a workload lists: one of the static STRICT policy and a port-level one, or none.
   */
  select(labels: Labels, namespace: string): readonly string[] {
    const selecting = this.#namespaces.get(namespace)?.selecting.find(labels) ?? [];
    const policy = selecting.sort(comparePrecedence)[0];
    const effective = effectiveMtls(policy, this.#inheritedMode(namespace));
    const ports = policy && portPolicy(policy, effective);
    if (ports !== undefined) return [policyKey(ports)];
    return effective.mode === "STRICT" ? [policyKey(staticStrictName(this.#options))] : [];
  }

  /** The mode of a namespace's workloads that no selector picks. */
  #inheritedMode(namespace: string): Mode {
    const mesh = effectiveMtls(this.#widest(this.#options.rootNamespace), "PERMISSIVE");
    return effectiveMtls(this.#widest(namespace), mesh.mode).mode;
  }

  #widest(namespace: string): ParsedPeerAuthentication | undefined {
    return [...(this.#namespaces.get(namespace)?.wide ?? [])].sort(comparePrecedence)[0];
  }

  #replace(key: string, next: ParsedPeerAuthentication | undefined): Effects {
    const previous = this.#policies.get(key);
    const namespace = (next ?? previous)?.namespace ?? "";
    const modeBefore = this.#inheritedMode(namespace);
    if (previous !== undefined) this.#unfile(previous);
    if (next === undefined) this.#policies.delete(key);
    else {
      this.#policies.set(key, next);
      this.#file(next);
    }
    const modeChanged = this.#inheritedMode(namespace) !== modeBefore;
    const touched = [previous, next].filter((policy) => policy !== undefined);
    const upserted: Authorization[] = [];
    const removed: string[] = [];
    this.#write(staticStrictName(this.#options), this.#staticStrict(), upserted, removed);
    for (const policy of new Set([...touched, ...(modeChanged ? this.#heirs(namespace) : [])])) {
      this.#writePorts(policy, upserted, removed);
    }
    return { upserted, removed, affected: this.#affected(namespace, modeChanged, touched) };
  }

  /**
   * Whose selection may differ: with the mode that of all who inherit it, else that of selected
   * workloads.
   */
  #affected(
    namespace: string,
    modeChanged: boolean,
    touched: readonly ParsedPeerAuthentication[],
  ): PolicyChange["affected"] {
    const selects = touched.some((policy) => policy.level === "workload");
    if (!modeChanged && !selects) return "none";
    return namespace === this.#options.rootNamespace ? "all" : { namespace };
  }

  /** Port-level policies whose meaning depends on the mode of this namespace. */
  #heirs(namespace: string): ParsedPeerAuthentication[] {
    const levels =
      namespace === this.#options.rootNamespace
        ? [...this.#namespaces.values()]
        : [this.#namespaces.get(namespace)];
    return levels.flatMap((level) => [...(level?.withPorts ?? [])]);
  }

  #writePorts(
    policy: ParsedPeerAuthentication,
    upserted: Authorization[],
    removed: string[],
  ): void {
    const current = this.#policies.get(policyKey(policy));
    const effective = effectiveMtls(current, this.#inheritedMode(policy.namespace));
    const authorization = current && portPolicy(current, effective);
    const name = convertedPeerAuthenticationName(policy.name);
    const key = { namespace: policy.namespace, name };
    this.#write(key, authorization, upserted, removed);
  }

  #write(
    name: { readonly namespace: string; readonly name: string },
    authorization: Authorization | undefined,
    upserted: Authorization[],
    removed: string[],
  ): void {
    const key = policyKey(name);
    const before = this.authorizations.get(key);
    if (authorization === undefined) {
      if (this.authorizations.delete(key)) removed.push(key);
    } else if (JSON.stringify(before) !== JSON.stringify(authorization)) {
      this.authorizations.set(key, authorization);
      upserted.push(authorization);
    }
  }

  /** Known to ztunnel as soon as there is any PeerAuthentication, as in Istio (F66). */
  #staticStrict(): Authorization | undefined {
    if (this.#policies.size === 0) return undefined;
    return {
      ...staticStrictName(this.#options),
      scope: "workload-selector",
      action: "deny",
      rules: [{ clauses: [one(PLAINTEXT)] }],
      dryRun: false,
    };
  }

  #file(policy: ParsedPeerAuthentication): void {
    const { namespace } = policy;
    const level = this.#namespaces.get(namespace) ?? new NamespaceLevel();
    this.#namespaces.set(namespace, level);
    if (policy.level === "mesh" || policy.level === "namespace") level.wide.add(policy);
    if (policy.level !== "workload") return;
    level.selecting.add(policy.selector, policy);
    if (policy.ports.size > 0) level.withPorts.add(policy);
  }

  #unfile(policy: ParsedPeerAuthentication): void {
    const level = this.#namespaces.get(policy.namespace);
    level?.wide.delete(policy);
    level?.withPorts.delete(policy);
    if (policy.level === "workload") level?.selecting.delete(policy.selector, policy);
    if (level?.isEmpty() === true) this.#namespaces.delete(policy.namespace);
  }
}

function byKey(a: Authorization, b: Authorization): number {
  return policyKey(a) < policyKey(b) ? -1 : 1;
}
