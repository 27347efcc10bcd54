/** Authorization policies by key, with those that apply to one workload compiled and kept ready. */
import { type CompiledPolicies, compilePolicies } from "#common/authorization/evaluate.ts";
import { type Authorization, policyKey } from "#common/model/authorization.ts";
import type { Workload } from "#common/model/workload.ts";
import { COMPILED_POLICY_SETS } from "../limits.ts";

export interface WorkloadPolicies {
  readonly compiled: CompiledPolicies;
  /**
   * Keys that the workload names and that have not arrived, or have been removed: nobody may enter.
   */
  readonly missing: readonly string[];
}

interface CachedSet extends WorkloadPolicies {
  readonly list: readonly Authorization[];
  generation: number;
}

export class PolicyStore {
  readonly #byKey = new Map<string, Authorization>();
  readonly #global = new Map<string, Authorization>();
  readonly #byNamespace = new Map<string, Map<string, Authorization>>();
  /**
   * By namespace and named policies, which is all that decides the set: pods of a Deployment share
   * one.
   */
  readonly #sets = new Map<string, CachedSet>();
  readonly #setOf = new WeakMap<Workload, CachedSet>();
  #generation = 0;

  get size(): number {
    return this.#byKey.size;
  }

  values(): IterableIterator<Authorization> {
    return this.#byKey.values();
  }

  /** Returns the policy that was replaced. */
  put(policy: Authorization): Authorization | undefined {
    const previous = this.remove(policyKey(policy));
    this.#byKey.set(policyKey(policy), policy);
    this.#scopeOf(policy)?.set(policyKey(policy), policy);
    this.#generation++;
    return previous;
  }

  remove(key: string): Authorization | undefined {
    const previous = this.#byKey.get(key);
    if (previous === undefined) return undefined;
    this.#byKey.delete(key);
    this.#scopeOf(previous)?.delete(key);
    if (this.#byNamespace.get(previous.namespace)?.size === 0) {
      this.#byNamespace.delete(previous.namespace);
    }
    this.#generation++;
    return previous;
  }

  /** Costs a look-up while nothing changed, and compiles only where the workload's own set did. */
  forWorkload(workload: Workload): WorkloadPolicies {
    const known = this.#setOf.get(workload);
    if (known?.generation === this.#generation) return known;
    const key = `${workload.namespace}\n${workload.authorizationPolicies.join("\n")}`;
    const shared = this.#sets.get(key);
    const set =
      shared?.generation === this.#generation ? shared : this.#refresh(workload, shared ?? known);
    this.#setOf.set(workload, set);
    if (!this.#sets.has(key) && this.#sets.size >= COMPILED_POLICY_SETS) this.#sets.clear();
    this.#sets.set(key, set);
    return set;
  }

  #refresh(workload: Workload, known: CachedSet | undefined): CachedSet {
    const list = new Set(this.#global.values());
    for (const policy of this.#byNamespace.get(workload.namespace)?.values() ?? []) {
      list.add(policy);
    }
    const missing: string[] = [];
    for (const key of workload.authorizationPolicies) {
      const policy = this.#byKey.get(key);
      if (policy === undefined) missing.push(key);
      else list.add(policy);
    }
    if (known !== undefined && sameList(known, list, missing)) {
      known.generation = this.#generation;
      return known;
    }
    const policies = [...list];
    const compiled = compilePolicies(policies);
    return { list: policies, compiled, missing, generation: this.#generation };
  }

  #scopeOf(policy: Authorization): Map<string, Authorization> | undefined {
    if (policy.scope === "global") return this.#global;
    if (policy.scope === "workload-selector") return undefined;
    let scope = this.#byNamespace.get(policy.namespace);
    if (scope === undefined) {
      scope = new Map();
      this.#byNamespace.set(policy.namespace, scope);
    }
    return scope;
  }
}

function sameList(
  known: CachedSet,
  list: ReadonlySet<Authorization>,
  missing: readonly string[],
): boolean {
  return (
    known.list.length === list.size &&
    known.missing.length === missing.length &&
    known.missing.every((key, i) => key === missing[i]) &&
    known.list.every((policy) => list.has(policy))
  );
}
