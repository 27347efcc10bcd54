/**
 * istio.workload.Address from the wire: workloads and services, with the wire's defaults filled in.
 */
import type { GatewayAddress, ServiceAddress } from "#common/model/address.ts";
import { DEFAULT_TRUST_DOMAIN } from "#common/model/identity.ts";
import { ipToBytes } from "#common/model/ip.ts";
import type { MeshAddress } from "#common/model/mesh-address.ts";
import { HBONE_PORT } from "#common/model/ports.ts";
import type { LoadBalancing, Service, ServicePort } from "#common/model/service.ts";
import type { Locality, Workload } from "#common/model/workload.ts";
import {
  decodeIp,
  decodeMessage,
  decodePort,
  invalidResource,
  requiredText,
} from "./decode-wire.ts";
import { EnumReader } from "./enum-reader.ts";
import * as wire from "./gen/istio/workload_pb.js";
import {
  APP_PROTOCOLS,
  APPLICATION_TUNNELS,
  HEALTH_POLICIES,
  IP_FAMILIES,
  LOAD_BALANCING_MODES,
  NETWORK_MODES,
  ROUTING_SCOPES,
  TUNNEL_PROTOCOLS,
  VISIBILITIES,
  WORKLOAD_STATUSES,
  WORKLOAD_TYPES,
} from "./workload-enums.ts";

/** What Istio's ztunnel takes for a service account and a cluster that are not named. */
const DEFAULT_SERVICE_ACCOUNT = "default";
const DEFAULT_CLUSTER_ID = "Kubernetes";

/**
 * Parses one Address resource. An enum number that this version does not know is told in
 * `notUnderstood`, and means the safest of what is known; where nothing known is safe, as for the
 * way to reach a workload, the resource is unusable. Throws MeshError INVALID_RESOURCE for what
 * makes no sense in any version, such as an address of other than 4 or 16 bytes.
 */
export function decodeAddress(bytes: Uint8Array): MeshAddress {
  const { type } = decodeMessage(wire.AddressSchema, bytes);
  const enums = new EnumReader();
  if (type.case === "workload") {
    const workload = { ...decodeWorkload(type.value, enums), ...enums.unusable };
    return { kind: "workload", workload, ...enums.notUnderstood };
  }
  if (type.case === "service") {
    const service = { ...decodeService(type.value, enums), ...enums.unusable };
    return { kind: "service", service, ...enums.notUnderstood };
  }
  throw invalidResource("the address is neither a workload nor a service");
}

function decodeWorkload(message: wire.Workload, enums: EnumReader): Workload {
  const uid = requiredText(message.uid, "the workload's uid");
  const { waypoint, networkGateway } = message;
  const tunnel = decodeApplicationTunnel(message.applicationTunnel, enums);
  return {
    uid,
    name: message.name,
    namespace: message.namespace,
    addresses: message.addresses.map((bytes) => decodeIp(bytes, `an address of ${uid}`)),
    hostname: message.hostname,
    network: message.network,
    tunnelProtocol: enums.required(TUNNEL_PROTOCOLS, message.tunnelProtocol, "tunnel protocol"),
    trustDomain: message.trustDomain === "" ? DEFAULT_TRUST_DOMAIN : message.trustDomain,
    serviceAccount: message.serviceAccount || DEFAULT_SERVICE_ACCOUNT,
    ...(waypoint && { waypoint: decodeGateway(waypoint) }),
    ...(networkGateway && { networkGateway: decodeGateway(networkGateway) }),
    node: message.node,
    canonicalName: message.canonicalName,
    canonicalRevision: message.canonicalRevision,
    workloadType: enums.optional(WORKLOAD_TYPES, message.workloadType, "workload type", "pod"),
    workloadName: message.workloadName,
    nativeTunnel: message.nativeTunnel,
    ...(tunnel && { applicationTunnel: tunnel }),
    services: new Map(
      Object.entries(message.services).map(([key, list]) => [
        key,
        list.ports.map(decodeServicePort),
      ]),
    ),
    authorizationPolicies: message.authorizationPolicies,
    status: enums.optional(WORKLOAD_STATUSES, message.status, "workload status", "unhealthy"),
    clusterId: message.clusterId || DEFAULT_CLUSTER_ID,
    locality: decodeLocality(message.locality),
    networkMode: enums.required(NETWORK_MODES, message.networkMode, "network mode"),
    capacity: message.capacity ?? 1,
  };
}

function decodeLocality(locality: wire.Locality | undefined): Locality {
  const { region = "", zone = "", subzone = "" } = locality ?? {};
  return { region, zone, subzone };
}

function decodeApplicationTunnel(
  message: wire.ApplicationTunnel | undefined,
  enums: EnumReader,
): Workload["applicationTunnel"] {
  if (message === undefined) return undefined;
  const protocol = enums.required(APPLICATION_TUNNELS, message.protocol, "application tunnel");
  if (protocol === "none") return undefined;
  return { protocol, port: decodePort(message.port, "application tunnel port") };
}

function decodeService(message: wire.Service, enums: EnumReader): Service {
  const hostname = requiredText(message.hostname, "the service's hostname");
  const { waypoint, loadBalancing } = message;
  return {
    name: message.name,
    namespace: requiredText(message.namespace, `the namespace of ${hostname}`),
    hostname,
    addresses: message.addresses.map((address) => decodeServiceAddress(address, hostname)),
    ports: message.ports.map(decodeServicePort),
    subjectAltNames: message.subjectAltNames,
    ...(waypoint && { waypoint: decodeGateway(waypoint) }),
    weightedWaypoints: message.weightedWaypoints.map(({ destination, weight }) => {
      if (destination === undefined) throw invalidResource("a waypoint has no destination");
      return { destination: decodeGateway(destination), weight };
    }),
    ...(loadBalancing && { loadBalancing: decodeLoadBalancing(loadBalancing, enums) }),
    ipFamilies: enums.optional(IP_FAMILIES, message.ipFamilies, "IP families", "automatic"),
    canonical: message.canonical,
    ingressUseWaypoint: message.ingressUseWaypoint,
    visibility: enums.optional(VISIBILITIES, message.visibility, "visibility", "namespace"),
  };
}

function decodeServiceAddress(message: wire.NetworkAddress, hostname: string): ServiceAddress {
  const ip = decodeIp(message.address, `an address of ${hostname}`);
  const address = { network: message.network, ip };
  if (message.length === undefined) return address;
  const bytes = ipToBytes(ip);
  // An IPv4-mapped block counts its prefix from the 16-byte form.
  const length = message.length - (message.address.length - bytes.length) * 8;
  if (length < 0 || length > bytes.length * 8) {
    throw invalidResource(`an address of ${hostname} has prefix length ${message.length}`);
  }
  return { ...address, cidr: { bytes, length } };
}

function decodeLoadBalancing(message: wire.LoadBalancing, enums: EnumReader): LoadBalancing {
  const { healthPolicy, mode, routingPreference } = message;
  return {
    // To leave one out could send traffic where it must not go: STRICT keeps it on a node, say.
    routingPreference: routingPreference.map((scope) =>
      enums.required(ROUTING_SCOPES, scope, "routing scope"),
    ),
    mode: enums.required(LOAD_BALANCING_MODES, mode, "load balancing mode"),
    healthPolicy: enums.optional(HEALTH_POLICIES, healthPolicy, "health policy", "only-healthy"),
  };
}

/** Nothing here depends on the protocol above TCP: one that is not known is just that. */
function decodeServicePort(port: wire.Port): ServicePort {
  return {
    servicePort: decodePort(port.servicePort, "service port"),
    targetPort: decodePort(port.targetPort, "target port"),
    appProtocol: APP_PROTOCOLS[port.appProtocol] ?? "unknown",
  };
}

function decodeGateway(message: wire.GatewayAddress): GatewayAddress {
  const { destination } = message;
  const port = decodePort(message.hboneMtlsPort, "gateway port");
  const hboneMtlsPort = port === 0 ? HBONE_PORT : port;
  if (destination.case === "hostname") {
    const { namespace, hostname } = destination.value;
    return { kind: "hostname", name: { namespace, hostname }, hboneMtlsPort };
  }
  if (destination.case === "address") {
    const { network, address } = destination.value;
    const ip = decodeIp(address, "a gateway address");
    return { kind: "address", address: { network, ip }, hboneMtlsPort };
  }
  throw invalidResource("a gateway has no destination");
}
