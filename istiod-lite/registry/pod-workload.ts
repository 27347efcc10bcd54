/** Pod to mesh Workload. */
import type { Node, Pod } from "#common/kubernetes/objects.ts";
import { type GatewayAddress, networkAddressKey } from "#common/model/address.ts";
import type { ServicePort } from "#common/model/service.ts";
import type { Locality, Workload } from "#common/model/workload.ts";
import { REDIRECTION_ANNOTATION } from "#istiod-lite/config/source.ts";
import { isHealthy, isTerminal, podAddresses, serviceAccountOf } from "./pod-facts.ts";
import type { RegistryOptions } from "./registry-options.ts";
import { canonicalName, canonicalRevision, workloadNameOf } from "./workload-names.ts";

// Source: istio/api labels.yaml.
export const NATIVE_TUNNEL_LABEL = "networking.istio.io/tunnel";

/** What a workload takes from other objects than its pod. */
export interface PodSurroundings {
  readonly node: Node | undefined;
  readonly services: ReadonlyMap<string, readonly ServicePort[]>;
  /** Keys of the policies that select it. */
  readonly authorizationPolicies: readonly string[];
  readonly waypoint: GatewayAddress | undefined;
}

export function podUid(clusterId: string, namespace: string, name: string): string {
  return `${clusterId}//Pod/${namespace}/${name}`;
}

/** Undefined for a pod that has run to its end or has no address yet: it is not in the mesh. */
export function podWorkload(
  pod: Pod,
  surroundings: PodSurroundings,
  options: Pick<RegistryOptions, "clusterId" | "trustDomain" | "hbone">,
): Workload | undefined {
  const addresses = podAddresses(pod);
  if (isTerminal(pod) || addresses.length === 0) return undefined;
  const { name, namespace = "default", labels = {}, annotations = {} } = pod.metadata;
  const workload = workloadNameOf(pod);
  const nativeTunnel = labels[NATIVE_TUNNEL_LABEL] === "http";
  const captured = annotations[REDIRECTION_ANNOTATION] === "enabled";
  return {
    uid: podUid(options.clusterId, namespace, name),
    name,
    namespace,
    addresses,
    hostname: "",
    network: "",
    tunnelProtocol: options.hbone && (captured || nativeTunnel) ? "hbone" : "none",
    trustDomain: options.trustDomain,
    serviceAccount: serviceAccountOf(pod),
    node: pod.spec.nodeName ?? "",
    canonicalName: canonicalName(labels, workload.name),
    canonicalRevision: canonicalRevision(labels),
    workloadType: workload.type,
    workloadName: workload.name,
    nativeTunnel,
    ...(surroundings.waypoint && { waypoint: surroundings.waypoint }),
    services: surroundings.services,
    authorizationPolicies: surroundings.authorizationPolicies,
    status: isHealthy(pod) ? "healthy" : "unhealthy",
    clusterId: options.clusterId,
    locality: localityOf(surroundings.node),
    networkMode: pod.spec.hostNetwork === true ? "host-network" : "standard",
    capacity: 1,
  };
}

export function localityOf(node: Node | undefined): Locality {
  const labels = node?.metadata.labels ?? {};
  return {
    region: labels["topology.kubernetes.io/region"] ?? "",
    zone: labels["topology.kubernetes.io/zone"] ?? "",
    subzone: labels["topology.istio.io/subzone"] ?? "",
  };
}

/**
 * `<network>/<ip>` of each address. A host-network pod has none: its address is the node's (F37).
 */
export function workloadAliases(workload: Workload): readonly string[] {
  if (workload.networkMode === "host-network") return [];
  const { network } = workload;
  return workload.addresses.map((ip) => networkAddressKey({ network, ip }));
}
