/** What one call of `Registry.apply` changed. */
import type { Condition, KubernetesKind, ServiceEntryAddress } from "#common/kubernetes/objects.ts";
import type { Cidr } from "#common/model/ip.ts";
import type { DiscoveryResource } from "#common/xds/discovery-rpc.ts";
import type { TypeUrl } from "#common/xds/type-urls.ts";
import type { OwnedObject } from "#istiod-lite/config/source.ts";

/** One resource as it is pushed: encoded once, shared by every stream, versioned by its content. */
export interface PublishedResource extends DiscoveryResource {
  readonly typeUrl: TypeUrl;
  /**
   * Set on resources that only one proxy's streams may see: the name of its node, or
   * `waypoint/<namespace>/<name>`.
   */
  readonly scope?: string;
  /** Of a workload: the services (`<namespace>/<hostname>`) that it is an endpoint of. */
  readonly services?: readonly string[];
  /** Of a service: the blocks of addresses that are its own. */
  readonly blocks?: readonly AddressBlock[];
}

/** A block of addresses of one network. */
export interface AddressBlock {
  readonly network: string;
  readonly cidr: Cidr;
}

/** What an object's status should say. */
export interface ObjectStatus {
  readonly kind: KubernetesKind;
  readonly namespace: string;
  readonly name: string;
  readonly generation: number | undefined;
  readonly conditions: readonly Condition[];
  /** What no condition says: why a PeerAuthentication or a Service is not in force as written. */
  readonly warnings: readonly string[];
  /** Of a ServiceEntry: the addresses that its hosts were given; absent where that is not ours. */
  readonly addresses?: readonly ServiceEntryAddress[];
  /**
   * Other fields of the status, each set whole: `parents` of a route, `listeners` of a Gateway.
   * Conditions inside them are given as `NewCondition`s: the writer adds the times and generation.
   */
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** The objects that a Gateway wants to exist: exactly these, and none once it is gone. */
export interface OwnedObjects {
  /** `Gateway/<namespace>/<name>`. */
  readonly owner: string;
  readonly objects: readonly OwnedObject[];
}

/** All lists are ordered by type and name; a resource whose bytes did not change is not listed. */
export interface RegistryUpdate {
  readonly changed: readonly PublishedResource[];
  /** As they were last published. */
  readonly removed: readonly PublishedResource[];
  readonly statuses: readonly ObjectStatus[];
  /** What is to run for Gateways, where that changed. */
  readonly owned: readonly OwnedObjects[];
  /** Objects that could not be turned into a resource: what was published of them before stays. */
  readonly problems: readonly RegistryProblem[];
}

export interface RegistryProblem {
  /** `<kind>/<namespace>/<name>`. */
  readonly object: string;
  readonly message: string;
}
