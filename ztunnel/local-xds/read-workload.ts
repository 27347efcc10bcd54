/**
 * Workloads of a local file. Source of the field names, values and defaults: istio/ztunnel
 * src/state/workload.rs, src/xds.rs.
 */
import type { Workload } from "#common/model/workload.ts";
import type { FieldReader } from "./field-reader.ts";
import { PORT_MAX, readGateway, readIp, readPorts } from "./read-address.ts";

const FIELDS = [
  "workloadIps",
  "waypoint",
  "networkGateway",
  "protocol",
  "networkMode",
  "uid",
  "name",
  "namespace",
  "trustDomain",
  "serviceAccount",
  "network",
  "workloadName",
  "workloadType",
  "canonicalName",
  "canonicalRevision",
  "hostname",
  "node",
  "nativeTunnel",
  "applicationTunnel",
  "authorizationPolicies",
  "status",
  "clusterId",
  "locality",
  "services",
  "capacity",
] as const;

const PROTOCOLS = { TCP: "none", HBONE: "hbone" } as const;
const NETWORK_MODES = { Standard: "standard", HostNetwork: "host-network" } as const;
const STATUSES = { Healthy: "healthy", Unhealthy: "unhealthy" } as const;
const TYPES = { deployment: "deployment", cronjob: "cronjob", pod: "pod", job: "job" } as const;
const TUNNELS = { NONE: "none", PROXY: "proxy" } as const;
const CAPACITY_MAX = 0xffff_ffff;

/** `trustDomain` is what a workload without one belongs to. Throws MeshError LOCAL_XDS_INVALID. */
export function readWorkload(field: FieldReader, trustDomain: string): Workload {
  const f = field.fields(FIELDS);
  const waypoint = f.waypoint.optional(readGateway);
  const networkGateway = f.networkGateway.optional(readGateway);
  const applicationTunnel = f.applicationTunnel.optional(readApplicationTunnel);
  return {
    uid: f.uid.text(),
    name: f.name.text(""),
    namespace: f.namespace.text(),
    addresses: f.workloadIps.list(readIp),
    hostname: f.hostname.text(""),
    network: f.network.text(""),
    tunnelProtocol: f.protocol.choice(PROTOCOLS, "none"),
    trustDomain: f.trustDomain.text("") || trustDomain,
    serviceAccount: f.serviceAccount.text(""),
    ...(waypoint && { waypoint }),
    ...(networkGateway && { networkGateway }),
    node: f.node.text(""),
    canonicalName: f.canonicalName.text(""),
    canonicalRevision: f.canonicalRevision.text(""),
    workloadType: f.workloadType.choice(TYPES, "pod"),
    workloadName: f.workloadName.text(""),
    nativeTunnel: f.nativeTunnel.boolean(false),
    ...(applicationTunnel && { applicationTunnel }),
    services: new Map(f.services.entries().map(([key, ports]) => [key, readPorts(ports)])),
    authorizationPolicies: f.authorizationPolicies.list((name) => name.text()),
    status: f.status.choice(STATUSES, "healthy"),
    clusterId: f.clusterId.text(""),
    locality: readLocality(f.locality),
    networkMode: f.networkMode.choice(NETWORK_MODES, "standard"),
    capacity: f.capacity.integer(CAPACITY_MAX, 1),
  };
}

function readLocality(field: FieldReader): Workload["locality"] {
  if (field.isAbsent) return { region: "", zone: "", subzone: "" };
  const { region, zone, subzone } = field.fields(["region", "zone", "subzone"]);
  return { region: region.text(""), zone: zone.text(""), subzone: subzone.text("") };
}

function readApplicationTunnel(field: FieldReader): Workload["applicationTunnel"] {
  const { protocol, port } = field.fields(["protocol", "port"]);
  const kind = protocol.choice(TUNNELS);
  return kind === "none" ? undefined : { protocol: kind, port: port.integer(PORT_MAX, 0) };
}
