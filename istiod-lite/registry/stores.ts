/** The registry's stores: whoever derives resources reads all of them. */
import type { Namespace, Node } from "#common/kubernetes/objects.ts";
import type { EntryAddresses } from "./entry-addresses.ts";
import type { EntryStore } from "./entry-store.ts";
import type { PodStore } from "./pod-store.ts";
import type { Policies } from "./policies/index.ts";
import type { ServiceClaims } from "./service-claims.ts";
import type { ServiceStore } from "./service-store.ts";

export interface Stores {
  readonly pods: PodStore;
  readonly services: ServiceStore;
  readonly entries: EntryStore;
  readonly claims: ServiceClaims;
  readonly addresses: EntryAddresses;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly policies: Policies;
}
