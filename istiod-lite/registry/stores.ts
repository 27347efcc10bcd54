/** The registry's stores: whoever derives resources reads all of them. */
import type { Namespace, Node } from "#common/kubernetes/objects.ts";
import { EntryAddresses } from "./entry-addresses.ts";
import { EntryStore } from "./entry-store.ts";
import { PodStore } from "./pod-store.ts";
import { type Policies, PolicyIndex } from "./policies/index.ts";
import type { RegistryOptions } from "./registry-options.ts";
import { ServiceClaims } from "./service-claims.ts";
import { ServiceStore } from "./service-store.ts";
import { Bindings } from "./waypoints/bindings.ts";
import { GatewayStore } from "./waypoints/gateway-store.ts";

export interface Stores {
  readonly pods: PodStore;
  readonly services: ServiceStore;
  readonly entries: EntryStore;
  readonly claims: ServiceClaims;
  readonly addresses: EntryAddresses;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly policies: Policies;
  readonly gateways: GatewayStore;
  readonly bindings: Bindings;
}

/** As the one who takes objects in has them. */
export interface WritableStores extends Stores {
  readonly namespaces: Map<string, Namespace>;
  readonly nodes: Map<string, Node>;
  readonly policies: PolicyIndex;
}

export function createStores(options: RegistryOptions): WritableStores {
  const pods = new PodStore();
  const services = new ServiceStore();
  const namespaces = new Map<string, Namespace>();
  const gateways = new GatewayStore(options, { pods, services });
  return {
    pods,
    services,
    entries: new EntryStore(),
    claims: new ServiceClaims(),
    addresses: new EntryAddresses(),
    namespaces,
    nodes: new Map(),
    policies: new PolicyIndex(options),
    gateways,
    bindings: new Bindings(options, { gateways, namespaces }),
  };
}
