/**
 * What the control plane says changed, and what the state store made of it. A `StateUpdate` is
 * structured-cloneable: the control thread posts it to every data worker.
 */
import type { Authorization } from "#common/model/authorization.ts";
import type { MeshAddress } from "#common/model/mesh-address.ts";
import type { Workload } from "#common/model/workload.ts";

export interface StateUpdate {
  readonly addresses: readonly MeshAddress[];
  /** xDS names: a workload's uid, or `<namespace>/<hostname>` of a service. */
  readonly removedAddresses: readonly string[];
  readonly policies: readonly Authorization[];
  /** `<namespace>/<name>`. */
  readonly removedPolicies: readonly string[];
  /** Names of policies that arrived and could not be read at all. @default none */
  readonly unreadablePolicies?: readonly string[];
}

/** What one update changed, for those who hold something that hangs on the state. */
export interface AppliedChange {
  /** Uids of workloads that are new, different or gone. */
  readonly workloads: ReadonlySet<string>;
  /**
   * Of those, the ones that are gone or now have other addresses, another network, identity or
   * tunnel protocol: a tunnel made for one of them must take no further streams.
   */
  readonly rebound: ReadonlySet<string>;
  /** `<namespace>/<hostname>` of services that are new, different or gone. */
  readonly services: ReadonlySet<string>;
  readonly policies: PolicyChange;
}

/** Which workloads a change of policies may concern. */
export interface PolicyChange {
  readonly global: boolean;
  /** Namespaces whose namespace-wide policies changed. */
  readonly namespaces: ReadonlySet<string>;
  /** Keys of every policy that changed, for workloads that name it. */
  readonly keys: ReadonlySet<string>;
}

/** Whether other policies than before may now apply to the workload. */
export function policiesMayDiffer(change: AppliedChange, workload: Workload): boolean {
  const { global, namespaces, keys } = change.policies;
  if (global || namespaces.has(workload.namespace)) return true;
  if (change.workloads.has(workload.uid)) return true;
  return keys.size > 0 && workload.authorizationPolicies.some((key) => keys.has(key));
}

export const EMPTY_UPDATE: StateUpdate = {
  addresses: [],
  removedAddresses: [],
  policies: [],
  removedPolicies: [],
};

/**
 * Cuts an update into pieces of at most `size` entries (a policy with many rules counts as several,
 * and one that is larger than a piece is one), to be applied in this order: policies
 * before the workloads that name them, removals before what replaces them. A worker's event loop
 * then never stops for longer than one piece takes.
 */
export function* splitUpdate(update: StateUpdate, size: number): Generator<StateUpdate> {
  const total =
    update.addresses.length +
    update.removedAddresses.length +
    update.policies.reduce((sum, policy) => sum + weightOf(policy), 0) +
    update.removedPolicies.length +
    (update.unreadablePolicies?.length ?? 0);
  if (total <= size) {
    yield update;
    return;
  }
  for (const removedPolicies of slices(update.removedPolicies, size)) {
    yield { ...EMPTY_UPDATE, removedPolicies };
  }
  for (const policies of weighedSlices(update.policies, size)) {
    yield { ...EMPTY_UPDATE, policies };
  }
  for (const unreadablePolicies of slices(update.unreadablePolicies ?? [], size)) {
    yield { ...EMPTY_UPDATE, unreadablePolicies };
  }
  for (const removedAddresses of slices(update.removedAddresses, size)) {
    yield { ...EMPTY_UPDATE, removedAddresses };
  }
  for (const addresses of slices(update.addresses, size)) yield { ...EMPTY_UPDATE, addresses };
}

function* slices<Item>(list: readonly Item[], size: number): Generator<readonly Item[]> {
  for (let i = 0; i < list.length; i += size) yield list.slice(i, i + size);
}

/** Entries that a policy counts as: taking one in costs what its rules cost. */
function weightOf({ rules }: Authorization): number {
  return Math.max(1, rules.length);
}

function* weighedSlices(
  policies: readonly Authorization[],
  size: number,
): Generator<readonly Authorization[]> {
  let slice: Authorization[] = [];
  let weight = 0;
  for (const policy of policies) {
    if (slice.length > 0 && weight + weightOf(policy) > size) {
      yield slice;
      slice = [];
      weight = 0;
    }
    slice.push(policy);
    weight += weightOf(policy);
  }
  if (slice.length > 0) yield slice;
}
