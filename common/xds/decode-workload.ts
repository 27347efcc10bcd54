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
  enumName,
  invalidResource,
  requiredText,
} from "./decode-wire.ts";
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

/**
 * Parses one Address resource. Throws MeshError INVALID_RESOURCE for anything that this version
 * cannot represent exactly: unknown enum numbers, LEGACY_ISTIO_MTLS, addresses of other than 4 or
 * 16 bytes.
 */
export function decodeAddress(bytes: Uint8Array): MeshAddress {
  const { type } = decodeMessage(wire.AddressSchema, bytes);
  if (type.case === "workload") {
    return { kind: "workload", workload: decodeWorkload(type.value) };
  }
  if (type.case === "service") return { kind: "service", service: decodeService(type.value) };
  throw invalidResource("the address is neither a workload nor a service");
}

function decodeWorkload(message: wire.Workload): Workload {
  const uid = requiredText(message.uid, "the workload's uid");
  const { waypoint, networkGateway } = message;
  const tunnel = decodeApplicationTunnel(message.applicationTunnel);
  return {
    uid,
    name: message.name,
    namespace: message.namespace,
    addresses: message.addresses.map((bytes) => decodeIp(bytes, `an address of ${uid}`)),
    hostname: message.hostname,
    network: message.network,
    tunnelProtocol: decodeTunnelProtocol(message.tunnelProtocol),
    trustDomain: message.trustDomain === "" ? DEFAULT_TRUST_DOMAIN : message.trustDomain,
    serviceAccount: message.serviceAccount,
    ...(waypoint && { waypoint: decodeGateway(waypoint) }),
    ...(networkGateway && { networkGateway: decodeGateway(networkGateway) }),
    node: message.node,
    canonicalName: message.canonicalName,
    canonicalRevision: message.canonicalRevision,
    workloadType: enumName(WORKLOAD_TYPES, message.workloadType, "workload type"),
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
    status: enumName(WORKLOAD_STATUSES, message.status, "workload status"),
    clusterId: message.clusterId,
    locality: decodeLocality(message.locality),
    networkMode: enumName(NETWORK_MODES, message.networkMode, "network mode"),
    capacity: message.capacity ?? 1,
  };
}

function decodeLocality(locality: wire.Locality | undefined): Locality {
  const { region = "", zone = "", subzone = "" } = locality ?? {};
  return { region, zone, subzone };
}

function decodeTunnelProtocol(number: wire.TunnelProtocol): Workload["tunnelProtocol"] {
  if (number === wire.TunnelProtocol.LEGACY_ISTIO_MTLS) {
    throw invalidResource("unsupported tunnel protocol: legacy istio mtls");
  }
  return enumName(TUNNEL_PROTOCOLS, number, "tunnel protocol");
}

function decodeApplicationTunnel(
  message: wire.ApplicationTunnel | undefined,
): Workload["applicationTunnel"] {
  if (message === undefined) return undefined;
  const protocol = enumName(APPLICATION_TUNNELS, message.protocol, "application tunnel");
  if (protocol === "none") return undefined;
  return { protocol, port: decodePort(message.port, "application tunnel port") };
}

function decodeService(message: wire.Service): Service {
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
    ...(loadBalancing && { loadBalancing: decodeLoadBalancing(loadBalancing) }),
    ipFamilies: enumName(IP_FAMILIES, message.ipFamilies, "IP families"),
    canonical: message.canonical,
    ingressUseWaypoint: message.ingressUseWaypoint,
    visibility: enumName(VISIBILITIES, message.visibility, "visibility"),
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

function decodeLoadBalancing(message: wire.LoadBalancing): LoadBalancing {
  return {
    routingPreference: message.routingPreference.map((scope) =>
      enumName(ROUTING_SCOPES, scope, "routing scope"),
    ),
    mode: enumName(LOAD_BALANCING_MODES, message.mode, "load balancing mode"),
    healthPolicy: enumName(HEALTH_POLICIES, message.healthPolicy, "health policy"),
  };
}

function decodeServicePort(port: wire.Port): ServicePort {
  return {
    servicePort: decodePort(port.servicePort, "service port"),
    targetPort: decodePort(port.targetPort, "target port"),
    appProtocol: enumName(APP_PROTOCOLS, port.appProtocol, "app protocol"),
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
