/**
 * Services of a local file. Source of the field names, values and defaults: istio/ztunnel
 * src/state/service.rs.
 */
import type { ServiceAddress } from "#common/model/address.ts";
import { ipFromBytes } from "#common/model/ip.ts";
import type { LoadBalancing, Service, ServicePort } from "#common/model/service.ts";
import type { FieldReader } from "./field-reader.ts";
import { readCidr, readGateway, readNetworkAddress, readPorts } from "./read-address.ts";

const FIELDS = [
  "name",
  "namespace",
  "hostname",
  "vips",
  "cidrVips",
  "ports",
  "endpoints",
  "subjectAltNames",
  "waypoint",
  "weightedWaypoints",
  "loadBalancer",
  "ipFamilies",
  "canonical",
  "visibility",
] as const;

const IP_FAMILIES = { Dual: "dual", IPv4: "ipv4-only", IPv6: "ipv6-only" } as const;
const VISIBILITIES = { Public: "public", Namespace: "namespace" } as const;
const HEALTH_POLICIES = { OnlyHealthy: "only-healthy", AllowAll: "allow-all" } as const;
const MODES = {
  Standard: "unspecified",
  Strict: "strict",
  Failover: "failover",
  Passthrough: "passthrough",
} as const;
const SCOPES = {
  Region: "region",
  Zone: "zone",
  Subzone: "subzone",
  Node: "node",
  Cluster: "cluster",
  Network: "network",
} as const;
const WEIGHT_MAX = 0xffff_ffff;

/** An endpoint that a service names, besides those that workloads name by themselves. */
export interface LocalEndpoint {
  readonly workloadUid: string;
  readonly ports: readonly ServicePort[];
}

export interface LocalService {
  readonly service: Service;
  readonly endpoints: readonly LocalEndpoint[];
}

/** Throws MeshError LOCAL_XDS_INVALID. */
export function readService(field: FieldReader): LocalService {
  const f = field.fields(FIELDS);
  const waypoint = f.waypoint.optional(readGateway);
  const loadBalancing = f.loadBalancer.optional(readLoadBalancing);
  const service: Service = {
    name: f.name.text(),
    namespace: f.namespace.text(),
    hostname: f.hostname.text(),
    addresses: [...f.vips.list(readNetworkAddress), ...f.cidrVips.list(readBlock)],
    ports: readPorts(f.ports),
    subjectAltNames: f.subjectAltNames.list((name) => name.text()),
    ...(waypoint && { waypoint }),
    weightedWaypoints: f.weightedWaypoints.list((element) => {
      const { destination, weight } = element.fields(["destination", "weight"]);
      return { destination: readGateway(destination), weight: weight.integer(WEIGHT_MAX) };
    }),
    ...(loadBalancing && { loadBalancing }),
    ipFamilies: f.ipFamilies.choice<Service["ipFamilies"]>(IP_FAMILIES, "automatic"),
    canonical: f.canonical.boolean(false),
    ingressUseWaypoint: false,
    visibility: f.visibility.choice(VISIBILITIES, "public"),
  };
  return { service, endpoints: f.endpoints.entries().map(([, value]) => readEndpoint(value)) };
}

function readBlock(field: FieldReader): ServiceAddress {
  const { network, cidr } = field.fields(["network", "cidr"]);
  const block = readCidr(cidr);
  const ip = ipFromBytes(block.bytes) ?? cidr.fail("takes a block of addresses");
  return { network: network.text(""), ip, cidr: block };
}

function readLoadBalancing(field: FieldReader): LoadBalancing {
  const f = field.fields(["routingPreferences", "mode", "healthPolicy"]);
  return {
    routingPreference: f.routingPreferences.list((scope) => scope.choice(SCOPES)),
    mode: f.mode.choice(MODES),
    healthPolicy: f.healthPolicy.choice(HEALTH_POLICIES, "only-healthy"),
  };
}

/** Its status says nothing that the workload's own does not. */
function readEndpoint(field: FieldReader): LocalEndpoint {
  const { workloadUid, port } = field.fields(["workloadUid", "port", "status"]);
  return { workloadUid: workloadUid.text(), ports: readPorts(port) };
}
