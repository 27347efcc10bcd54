/** istio.workload.Address to the wire. Equal values give equal bytes: content hashes rely on it. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { GatewayAddress, ServiceAddress } from "#common/model/address.ts";
import { DEFAULT_TRUST_DOMAIN } from "#common/model/identity.ts";
import { ipToBytes } from "#common/model/ip.ts";
import type { MeshAddress } from "#common/model/mesh-address.ts";
import type { LoadBalancing, Service, ServicePort } from "#common/model/service.ts";
import type { Locality, Workload } from "#common/model/workload.ts";
import { enumNumber } from "./decode-wire.ts";
import * as wire from "./gen/istio/workload_pb.js";
import {
  APP_PROTOCOLS,
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

export function encodeAddress(address: MeshAddress): Uint8Array {
  const type =
    address.kind === "workload"
      ? { case: "workload" as const, value: encodeWorkload(address.workload) }
      : { case: "service" as const, value: encodeService(address.service) };
  return toBinary(wire.AddressSchema, create(wire.AddressSchema, { type }));
}

function encodeWorkload(workload: Workload): wire.Workload {
  const { waypoint, networkGateway, applicationTunnel, locality } = workload;
  return create(wire.WorkloadSchema, {
    uid: workload.uid,
    name: workload.name,
    namespace: workload.namespace,
    addresses: workload.addresses.map(bytesOf),
    hostname: workload.hostname,
    network: workload.network,
    tunnelProtocol: enumNumber(TUNNEL_PROTOCOLS, workload.tunnelProtocol),
    // istiod leaves the default out (ambient.md F81), and so do our content hashes.
    trustDomain: workload.trustDomain === DEFAULT_TRUST_DOMAIN ? "" : workload.trustDomain,
    serviceAccount: workload.serviceAccount,
    ...(waypoint && { waypoint: encodeGateway(waypoint) }),
    ...(networkGateway && { networkGateway: encodeGateway(networkGateway) }),
    node: workload.node,
    canonicalName: workload.canonicalName,
    canonicalRevision: workload.canonicalRevision,
    workloadType: enumNumber(WORKLOAD_TYPES, workload.workloadType),
    workloadName: workload.workloadName,
    nativeTunnel: workload.nativeTunnel,
    ...(applicationTunnel && {
      applicationTunnel: {
        protocol: wire.ApplicationTunnel_Protocol.PROXY,
        port: applicationTunnel.port,
      },
    }),
    services: encodeServices(workload.services),
    authorizationPolicies: [...workload.authorizationPolicies],
    status: enumNumber(WORKLOAD_STATUSES, workload.status),
    clusterId: workload.clusterId,
    ...(hasLocality(locality) && { locality: { ...locality } }),
    networkMode: enumNumber(NETWORK_MODES, workload.networkMode),
    // 1 is what an absent weight means.
    ...(workload.capacity !== 1 && { capacity: workload.capacity }),
  });
}

function hasLocality(locality: Locality): boolean {
  return locality.region !== "" || locality.zone !== "" || locality.subzone !== "";
}

/** In the order of the keys, because protobuf writes maps in insertion order. */
function encodeServices(
  services: Workload["services"],
): Record<string, { ports: { servicePort: number; targetPort: number; appProtocol: number }[] }> {
  const keys = [...services.keys()].sort();
  return Object.fromEntries(
    keys.map((key) => [key, { ports: (services.get(key) ?? []).map(encodeServicePort) }]),
  );
}

function encodeServicePort(port: ServicePort) {
  return {
    servicePort: port.servicePort,
    targetPort: port.targetPort,
    appProtocol: enumNumber(APP_PROTOCOLS, port.appProtocol),
  };
}

function encodeService(service: Service): wire.Service {
  const { waypoint, loadBalancing } = service;
  return create(wire.ServiceSchema, {
    name: service.name,
    namespace: service.namespace,
    hostname: service.hostname,
    addresses: service.addresses.map(encodeServiceAddress),
    ports: service.ports.map(encodeServicePort),
    subjectAltNames: [...service.subjectAltNames],
    ...(waypoint && { waypoint: encodeGateway(waypoint) }),
    ...(loadBalancing && { loadBalancing: encodeLoadBalancing(loadBalancing) }),
    ipFamilies: enumNumber(IP_FAMILIES, service.ipFamilies),
    canonical: service.canonical,
    ingressUseWaypoint: service.ingressUseWaypoint,
    weightedWaypoints: service.weightedWaypoints.map(({ destination, weight }) => ({
      destination: encodeGateway(destination),
      weight,
    })),
    visibility: enumNumber(VISIBILITIES, service.visibility),
  });
}

function encodeServiceAddress(address: ServiceAddress) {
  const { network, cidr } = address;
  return cidr === undefined
    ? { network, address: bytesOf(address.ip) }
    : { network, address: Uint8Array.from(cidr.bytes), length: cidr.length };
}

function encodeLoadBalancing(loadBalancing: LoadBalancing) {
  return {
    routingPreference: loadBalancing.routingPreference.map((scope) =>
      enumNumber(ROUTING_SCOPES, scope),
    ),
    mode: enumNumber(LOAD_BALANCING_MODES, loadBalancing.mode),
    healthPolicy: enumNumber(HEALTH_POLICIES, loadBalancing.healthPolicy),
  };
}

function encodeGateway(gateway: GatewayAddress): wire.GatewayAddress {
  return create(wire.GatewayAddressSchema, {
    destination:
      gateway.kind === "hostname"
        ? { case: "hostname", value: create(wire.NamespacedHostnameSchema, gateway.name) }
        : {
            case: "address",
            value: create(wire.NetworkAddressSchema, {
              network: gateway.address.network,
              address: bytesOf(gateway.address.ip),
            }),
          },
    hboneMtlsPort: gateway.hboneMtlsPort,
  });
}

function bytesOf(ip: Parameters<typeof ipToBytes>[0]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(ipToBytes(ip));
}
