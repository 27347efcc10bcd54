/** What a Gateway is as a waypoint: derived from it, its class, its Service and its pods. */
import type { Gateway, GatewayClass, KubeService, Pod } from "#common/kubernetes/objects.ts";
import type { GatewayAddress } from "#common/model/address.ts";
import { parseIp } from "#common/model/ip.ts";
import { HBONE_PORT } from "#common/model/ports.ts";
import { isHealthy, isTerminal, namespacedName, serviceAccountOf } from "../pod-facts.ts";
import { clusterIps, serviceHostname } from "../service-resource.ts";
import {
  NAME_OVERRIDE,
  REVISION,
  SERVICE_ACCOUNT_OVERRIDE,
  WAYPOINT_CLASS,
  WAYPOINT_CONTROLLER,
  WAYPOINT_FOR,
} from "./names.ts";

export type TrafficType = "service" | "workload" | "all" | "none";

type RouteNamespaces = NonNullable<
  NonNullable<Gateway["spec"]["listeners"][number]["allowedRoutes"]>["namespaces"]
>;

/** Why a waypoint is not ready. Reasons: Gateway API's of the condition `Programmed`. */
export interface NotProgrammed {
  readonly reason: "AddressNotAssigned" | "Pending" | "Invalid";
  readonly message: string;
}

export interface Waypoint {
  readonly namespace: string;
  readonly name: string;
  readonly className: string;
  /** Run by this control plane; else somebody else's, who writes its status. */
  readonly managed: boolean;
  readonly trafficType: TrafficType;
  readonly address: GatewayAddress;
  /** Undefined while it is ready. */
  readonly notProgrammed: NotProgrammed | undefined;
  /** Of its HBONE listener. */
  readonly allowed: RouteNamespaces;
  /** `<namespace>/<service account>` of its pods, sorted: who its traffic comes from. */
  readonly identities: readonly string[];
}

export interface WaypointSurroundings {
  readonly gatewayClass: GatewayClass | undefined;
  readonly service: KubeService | undefined;
  readonly pods: readonly Pod[];
}

/** Whether this control plane runs the Gateways of the class. */
export function isManagedClass(className: string, gatewayClass: GatewayClass | undefined): boolean {
  if (gatewayClass === undefined) return className === WAYPOINT_CLASS;
  return gatewayClass.spec.controllerName === WAYPOINT_CONTROLLER;
}

/** A Gateway that says no revision belongs to the default one. */
export function isOfRevision(gateway: Gateway, revision: string): boolean {
  return (gateway.metadata.labels?.[REVISION] ?? "default") === revision;
}

/** The name of what runs a Gateway: its Deployment and Service. */
export function deploymentName({ metadata }: Gateway): string {
  return metadata.annotations?.[NAME_OVERRIDE] ?? metadata.name;
}

export function serviceAccountName(gateway: Gateway): string {
  return gateway.metadata.annotations?.[SERVICE_ACCOUNT_OVERRIDE] ?? deploymentName(gateway);
}

/** Undefined for a Gateway that is no waypoint. */
export function waypointOf(
  gateway: Gateway,
  surroundings: WaypointSurroundings,
  clusterDomain: string,
): Waypoint | undefined {
  const { gatewayClass, service, pods } = surroundings;
  const { gatewayClassName: className, listeners } = gateway.spec;
  const purpose = purposeOf(gateway, gatewayClass);
  const managed = isManagedClass(className, gatewayClass);
  if (!managed && purpose === undefined) return undefined;
  const { namespace = "default", name } = gateway.metadata;
  const hbone = listeners.find(({ protocol }) => protocol === "HBONE");
  const given = managed ? undefined : statusAddress(gateway);
  const own = hostnameAddress(namespace, `${deploymentName(gateway)}.${namespace}`, clusterDomain);
  const running = pods.filter((pod) => !isTerminal(pod));
  const accounts = running.map((pod) => `${namespace}/${serviceAccountOf(pod)}`);
  const notProgrammed = managed
    ? whyNotReady(service, pods, clusterDomain)
    : given === undefined
      ? ({ reason: "Pending", message: "its status has no address yet" } as const)
      : undefined;
  return {
    namespace,
    name,
    className,
    managed,
    trafficType: purpose ?? "service",
    address: given ?? own,
    notProgrammed,
    allowed: hbone?.allowedRoutes?.namespaces ?? {},
    identities: [...new Set([...accounts, `${namespace}/${serviceAccountName(gateway)}`])].sort(),
  };
}

function purposeOf(gateway: Gateway, gatewayClass: GatewayClass | undefined) {
  const labels = gateway.metadata.labels?.[WAYPOINT_FOR];
  const text = labels ?? gatewayClass?.metadata.labels?.[WAYPOINT_FOR];
  return (["service", "workload", "all", "none"] as const).find((type) => type === text);
}

function hostnameAddress(namespace: string, host: string, clusterDomain: string): GatewayAddress {
  const hostname = `${host}.svc.${clusterDomain}`;
  return { kind: "hostname", name: { namespace, hostname }, hboneMtlsPort: HBONE_PORT };
}

/** The first address that the Gateway's own controller gave it. */
function statusAddress(gateway: Gateway): GatewayAddress | undefined {
  const { namespace = "default" } = gateway.metadata;
  for (const { type = "IPAddress", value = "" } of gateway.status?.addresses ?? []) {
    const ip = type === "IPAddress" ? parseIp(value) : undefined;
    const hboneMtlsPort = HBONE_PORT;
    if (ip !== undefined) return { kind: "address", address: { network: "", ip }, hboneMtlsPort };
    if (type !== "Hostname" || value === "") continue;
    // A cluster's service says its own namespace: <name>.<namespace>.svc.<domain>.
    const [, own, svc] = value.split(".");
    const place = svc === "svc" && own !== undefined ? own : namespace;
    return { kind: "hostname", name: { namespace: place, hostname: value }, hboneMtlsPort };
  }
  return undefined;
}

function whyNotReady(
  service: KubeService | undefined,
  pods: readonly Pod[],
  clusterDomain: string,
): NotProgrammed | undefined {
  if (service === undefined) {
    return { reason: "AddressNotAssigned", message: "its Service does not exist yet" };
  }
  if (clusterIps(service).length === 0) {
    const message = `its Service ${namespacedName(service)} has no cluster IP`;
    return { reason: "AddressNotAssigned", message };
  }
  if (pods.some(isHealthy)) return undefined;
  const hostname = serviceHostname(service, clusterDomain);
  const message = `none of its ${pods.length} pods behind ${hostname} is ready`;
  return { reason: "Pending", message };
}
