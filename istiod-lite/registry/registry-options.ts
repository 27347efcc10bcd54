/** What the registry needs to know about the mesh it describes. */
export interface RegistryOptions {
  /** The first part of every workload uid, and `Workload.clusterId`. */
  readonly clusterId: string;
  readonly trustDomain: string;
  /** Trust domains whose identities policies take for the mesh's own. @default none */
  readonly trustDomainAliases?: readonly string[];
  /** Where mesh-wide policies and the node proxies live; "istio-system" unless configured. */
  readonly rootNamespace: string;
  /** The cluster's DNS domain: services are `<name>.<namespace>.svc.<domain>`. */
  readonly clusterDomain: string;
  /**
   * Pods of these namespaces are never captured (ambient.md F4); istio-cni's default is
   * kube-system.
   */
  readonly excludedNamespaces: readonly string[];
  /** False: nobody is told to use HBONE; Istio's PILOT_ENABLE_SENDING_HBONE. */
  readonly hbone: boolean;
  /**
   * Whether the DNS of captured pods goes to their ztunnel where no annotation says; istio-cni's
   * ambient.dnsCapture.
   */
  readonly dnsCapture: boolean;
  /** Gateways of other revisions (label istio.io/rev) are somebody else's. */
  readonly revision: string;
  /** What becomes of traffic whose waypoint is not there, where no annotation says. */
  readonly waypointUnavailable: "fail-open" | "fail-closed";
  /** Whether destinations refuse what did not pass their waypoint, where no annotation says. */
  readonly enforceWaypoints: boolean;
  /** Source: MeshConfig.outboundTrafficPolicy. */
  readonly outboundTraffic: "allow-any" | "registry-only";
  /** What the containers of waypoints run. @default Istio's name for it */
  readonly waypointImage?: string | undefined;
  /** `host:port` where waypoints find the control plane. @default Istio's */
  readonly discoveryAddress?: string | undefined;
}

export const DEFAULT_REGISTRY_OPTIONS: RegistryOptions = {
  clusterId: "Kubernetes",
  trustDomain: "cluster.local",
  rootNamespace: "istio-system",
  clusterDomain: "cluster.local",
  excludedNamespaces: ["kube-system"],
  hbone: true,
  dnsCapture: true,
  revision: "default",
  waypointUnavailable: "fail-closed",
  enforceWaypoints: false,
  outboundTraffic: "allow-any",
};
