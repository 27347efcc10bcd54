/**
 * The policies that workloads of one namespace name, with the names of those that are not there.
 * Policies that apply by their scope anyway are left to that scope's set.
 */
import { PolicySet } from "#common/authorization/evaluate.ts";
import type { Authorization } from "#common/model/authorization.ts";

export class NamedPolicies {
  readonly set = new PolicySet();
  readonly keys: ReadonlySet<string>;
  /** The store's generation at the last change. */
  changedAt = 0;
  readonly #namespace: string;
  readonly #missing: Set<string>;

  /** Starts with everything missing. */
  constructor(namespace: string, keys: readonly string[]) {
    this.#namespace = namespace;
    this.keys = new Set(keys);
    this.#missing = new Set(keys);
  }

  /** Keys that are named and unknown, as the workload lists them. */
  get missing(): readonly string[] {
    return this.#missing.size === 0 ? [] : [...this.keys].filter((key) => this.#missing.has(key));
  }

  /** What a named policy is now; undefined when there is none. */
  changed(key: string, policy: Authorization | undefined, generation: number): void {
    this.changedAt = generation;
    this.set.delete(key);
    if (policy === undefined) this.#missing.add(key);
    else this.#missing.delete(key);
    if (policy !== undefined && !this.#appliesAnyway(policy)) this.set.put(policy);
  }

  #appliesAnyway({ scope, namespace }: Authorization): boolean {
    return scope === "global" || (scope === "namespace" && namespace === this.#namespace);
  }
}
