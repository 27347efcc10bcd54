/**
 * Authorization policies by key, kept indexed for the workloads that they apply to. A change of one
 * policy costs what that policy weighs, however many others there are.
 */
import { CompiledPolicies, PolicySet } from "#common/authorization/evaluate.ts";
import { type Authorization, type PolicyScope, policyKey } from "#common/model/authorization.ts";
import type { Workload } from "#common/model/workload.ts";
import { COMPILED_POLICY_SETS } from "./limits.ts";
import { NamedPolicies } from "./named-policies.ts";

export interface WorkloadPolicies {
  /** The same object as long as no policy that applies has changed. */
  readonly compiled: CompiledPolicies;
  /**
   * Keys that the workload names and that have not arrived, or have been removed, and policies that
   * would apply but cannot be read: nobody may enter.
   */
  readonly missing: readonly string[];
}

/** Policies of one scope, and keys of that scope that could not be read. */
class Scope {
  readonly set = new PolicySet();
  readonly unreadable = new Set<string>();
  changedAt = 0;

  get isEmpty(): boolean {
    return this.set.size === 0 && this.unreadable.size === 0;
  }
}

interface Cached {
  /** The generation that `policies` were last found right at. */
  readonly checkedAt: number;
  /** When one of the sets last changed. */
  readonly changedAt: number;
  readonly policies: WorkloadPolicies;
}

export class PolicyStore {
  readonly #rootNamespace: string;
  readonly #byKey = new Map<string, Authorization>();
  /** Policies that no version could be read of. */
  readonly #unreadable = new Set<string>();
  readonly #global = new Scope();
  readonly #byNamespace = new Map<string, Scope>();
  /**
   * By namespace and named policies, which is all that decides what applies: pods of a Deployment
   * share one.
   */
  readonly #named = new Map<string, NamedPolicies>();
  /** By policy key: the sets of `#named` that name it. */
  readonly #namedBy = new Map<string, Set<NamedPolicies>>();
  #cached = new WeakMap<NamedPolicies, Cached>();
  #namedOf = new WeakMap<Workload, NamedPolicies>();
  #generation = 1;

  /** `rootNamespace`: whose policies may be about the whole mesh. */
  constructor(rootNamespace: string) {
    this.#rootNamespace = rootNamespace;
  }

  get size(): number {
    return this.#byKey.size;
  }

  values(): IterableIterator<Authorization> {
    return this.#byKey.values();
  }

  /** Keys of policies that no version could be read of. */
  unreadable(): ReadonlySet<string> {
    return this.#unreadable;
  }

  /** Returns the policy that was replaced. */
  put(policy: Authorization): Authorization | undefined {
    const key = policyKey(policy);
    const previous = this.remove(key);
    this.#byKey.set(key, policy);
    const scope = this.#scopeOf(policy.scope, policy.namespace);
    scope?.set.put(policy);
    this.#changed(key, scope, policy);
    return previous;
  }

  remove(key: string): Authorization | undefined {
    this.#forgetUnreadable(key);
    const previous = this.#byKey.get(key);
    if (previous === undefined) return undefined;
    this.#byKey.delete(key);
    const scope = this.#scopeOf(previous.scope, previous.namespace);
    scope?.set.delete(key);
    this.#changed(key, scope, undefined);
    this.#dropEmpty(previous.namespace);
    return previous;
  }

  /**
   * A policy arrived that cannot be read at all. An earlier version stays in force. Without one
   * nobody knows whom it covers: its namespace is closed to new connections, or the whole mesh for
   * one of the root namespace, until it can be read or is removed. Returns whether that is so now.
   */
  cannotRead(key: string): boolean {
    if (this.#byKey.has(key) || this.#unreadable.has(key)) return false;
    this.#unreadable.add(key);
    const scope = this.#scopeOfUnreadable(key);
    scope?.unreadable.add(key);
    this.#changed(key, scope, undefined);
    return true;
  }

  /** Costs a look-up while nothing changed, and little more where what changed is elsewhere. */
  forWorkload(workload: Workload): WorkloadPolicies {
    const named = this.#namedPolicies(workload);
    const known = this.#cached.get(named);
    if (known?.checkedAt === this.#generation) return known.policies;
    const cached = this.#collect(named, this.#byNamespace.get(workload.namespace), known);
    this.#cached.set(named, cached);
    return cached.policies;
  }

  /** What applies now: `known`'s very objects if that is still right. */
  #collect(named: NamedPolicies, local: Scope | undefined, known: Cached | undefined): Cached {
    const scopes = [this.#global, ...(local ? [local] : []), named];
    const filled = scopes.filter(({ set }) => set.size > 0);
    const changedAt = Math.max(0, ...filled.map((scope) => scope.changedAt));
    const unreadable = [...this.#global.unreadable, ...(local?.unreadable ?? [])];
    const missing = [...new Set([...named.missing, ...unreadable])];
    const checkedAt = this.#generation;
    const sets = filled.map(({ set }) => set);
    const before = known?.policies;
    const same = known?.changedAt === changedAt && sameItems(before?.compiled.sets, sets);
    if (before !== undefined && same && sameItems(before.missing, missing)) {
      return { checkedAt, changedAt, policies: before };
    }
    const compiled = same && before ? before.compiled : new CompiledPolicies(sets);
    return { checkedAt, changedAt, policies: { compiled, missing } };
  }

  #namedPolicies(workload: Workload): NamedPolicies {
    const known = this.#namedOf.get(workload);
    if (known !== undefined) return known;
    const key = `${workload.namespace}\n${workload.authorizationPolicies.join("\n")}`;
    const shared = this.#named.get(key) ?? this.#makeNamed(key, workload);
    this.#namedOf.set(workload, shared);
    return shared;
  }

  #makeNamed(key: string, workload: Workload): NamedPolicies {
    if (this.#named.size >= COMPILED_POLICY_SETS) this.#dropNamed();
    const named = new NamedPolicies(workload.namespace, workload.authorizationPolicies);
    for (const name of named.keys) {
      named.changed(name, this.#byKey.get(name), this.#generation);
      const users = this.#namedBy.get(name);
      if (users === undefined) this.#namedBy.set(name, new Set([named]));
      else users.add(named);
    }
    this.#named.set(key, named);
    return named;
  }

  #dropNamed(): void {
    this.#named.clear();
    this.#namedBy.clear();
    this.#namedOf = new WeakMap();
    this.#cached = new WeakMap();
  }

  #changed(key: string, scope: Scope | undefined, policy: Authorization | undefined): void {
    this.#generation++;
    if (scope !== undefined) scope.changedAt = this.#generation;
    for (const named of this.#namedBy.get(key) ?? []) named.changed(key, policy, this.#generation);
  }

  #forgetUnreadable(key: string): void {
    if (!this.#unreadable.delete(key)) return;
    const scope = this.#scopeOfUnreadable(key);
    scope?.unreadable.delete(key);
    this.#changed(key, scope, undefined);
    this.#dropEmpty(namespaceOf(key));
  }

  #scopeOfUnreadable(key: string): Scope | undefined {
    const namespace = namespaceOf(key);
    return this.#scopeOf(namespace === this.#rootNamespace ? "global" : "namespace", namespace);
  }

  #scopeOf(scope: PolicyScope, namespace: string): Scope | undefined {
    if (scope === "global") return this.#global;
    if (scope === "workload-selector") return undefined;
    let local = this.#byNamespace.get(namespace);
    if (local === undefined) {
      local = new Scope();
      this.#byNamespace.set(namespace, local);
    }
    return local;
  }

  #dropEmpty(namespace: string): void {
    if (this.#byNamespace.get(namespace)?.isEmpty) this.#byNamespace.delete(namespace);
  }
}

function sameItems<Item>(a: readonly Item[] | undefined, b: readonly Item[]): boolean {
  return a?.length === b.length && a.every((item, i) => item === b[i]);
}

function namespaceOf(key: string): string {
  return key.slice(0, Math.max(0, key.indexOf("/")));
}
