/**
 * `/config_dump` in the JSON shape of Istio's ztunnel (istio/ztunnel src/admin.rs, src/state/*.rs
 * at 62d82653), so that `istioctl ztunnel-config` reads ours. Written piece by piece: a dump of
 * 10,000 workloads is never one string, and the event loop turns between pieces.
 */
import { type CertificateState, dumpCertificate } from "#common/admin/certificate-dump.ts";
import type { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { type GatewayAddress, networkAddressKey, serviceKey } from "#common/model/address.ts";
import {
  type Authorization,
  type Match,
  policyKey,
  type StringMatch,
} from "#common/model/authorization.ts";
import { type Cidr, formatCidr } from "#common/model/ip.ts";
import type { Service } from "#common/model/service.ts";
import type { Workload } from "#common/model/workload.ts";

/** A captured pod, and the connections that pass through it. */
export interface PodState {
  readonly uid: string;
  readonly state: "Pending" | "Up";
  readonly info: {
    readonly name: string;
    readonly namespace: string;
    readonly serviceAccount: string;
  };
  readonly connections: {
    readonly inbound: readonly object[];
    readonly outbound: readonly object[];
  };
}

export interface ConfigDumpSource {
  readonly state: ProxyState;
  readonly certificates: readonly CertificateState[];
  readonly pods: readonly PodState[];
  readonly version: object;
  /** The effective configuration; the values under any `headers` are left out. */
  readonly config: object;
}

const ITEMS_PER_CHUNK = 200;

export async function* writeConfigDump(source: ConfigDumpSource): AsyncGenerator<string> {
  const { state } = source;
  yield "{";
  const workloads = sorted(state.workloads(), ({ uid }) => uid);
  const byHostname = ({ hostname, namespace }: Service) => `${hostname} ${namespace}`;
  const services = sorted(state.services(), byHostname);
  const policies = sorted(state.policies(), policyKey);
  yield* writeList("workloads", workloads, dumpWorkload);
  yield* writeList("services", services, (service) => dumpService(state, service));
  yield* writeList("policies", policies, dumpPolicy);
  const certificates = sorted(source.certificates, ({ identity }) => identity);
  yield* writeList("certificates", certificates, dumpCertificate);
  yield `"stagedServices":{},"staticConfig":{"workloads":[],"policies":[],"services":[]},`;
  yield* writePods(source.pods);
  yield `"version":${JSON.stringify(source.version)},`;
  yield `"config":${JSON.stringify(source.config, hideHeaders)}}
`;
}

/** Headers for istiod may hold credentials: their names are told, not their values. */
function hideHeaders(key: string, value: unknown): unknown {
  return key === "headers" && value instanceof Object ? Object.keys(value) : value;
}

/**
 * A copy, since the state may change while the reader takes its time; in ztunnel's order.
 */
function sorted<Item>(items: Iterable<Item>, keyOf: (item: Item) => string): readonly Item[] {
  const keyed = Array.from(items, (item) => ({ key: keyOf(item), item }));
  return keyed.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ item }) => item);
}

async function* writeList<Item>(
  name: string,
  items: readonly Item[],
  dump: (item: Item) => object,
): AsyncGenerator<string> {
  yield `"${name}":[`;
  let chunk: string[] = [];
  let first = true;
  for (const item of items) {
    chunk.push((first ? "" : ",") + JSON.stringify(dump(item)));
    first = false;
    if (chunk.length < ITEMS_PER_CHUNK) continue;
    yield chunk.join("");
    chunk = [];
    await new Promise((resolve) => setImmediate(resolve));
  }
  yield `${chunk.join("")}],`;
}

/** A pod at a time: each has all its connections with it. */
async function* writePods(pods: readonly PodState[]): AsyncGenerator<string> {
  yield `"workloadState":{`;
  let separator = "";
  for (const { uid, ...state } of pods) {
    yield `${separator}${JSON.stringify(uid)}:${JSON.stringify(state)}`;
    separator = ",";
    await new Promise((resolve) => setImmediate(resolve));
  }
  yield "},";
}

function dumpWorkload(workload: Workload): object {
  const locality = Object.values(workload.locality).some((part) => part !== "");
  const { name, namespace, clusterId, addresses: workloadIps } = workload;
  const always = { workloadIps, name, namespace, clusterId };
  const others = withoutDefaults({
    waypoint: workload.waypoint && dumpGateway(workload.waypoint),
    networkGateway: workload.networkGateway && dumpGateway(workload.networkGateway),
    protocol: workload.tunnelProtocol === "hbone" ? "HBONE" : "TCP",
    networkMode: workload.networkMode === "standard" ? "Standard" : "HostNetwork",
    uid: workload.uid,
    trustDomain: workload.trustDomain,
    serviceAccount: workload.serviceAccount,
    network: workload.network,
    workloadName: workload.workloadName,
    workloadType: workload.workloadType,
    canonicalName: workload.canonicalName,
    canonicalRevision: workload.canonicalRevision,
    hostname: workload.hostname,
    node: workload.node,
    nativeTunnel: workload.nativeTunnel || undefined,
    applicationTunnel: workload.applicationTunnel && {
      protocol: workload.applicationTunnel.protocol.toUpperCase(),
      port: workload.applicationTunnel.port ?? null,
    },
    authorizationPolicies: workload.authorizationPolicies,
    status: workload.status === "healthy" ? "Healthy" : "Unhealthy",
    locality: locality ? workload.locality : undefined,
    services: [...workload.services.keys()],
    capacity: workload.capacity,
  });
  return { ...always, ...others };
}

function dumpService(state: ProxyState, service: Service): object {
  const endpoints = [...state.endpointsOf(service).workloads.values()].map((workload) => [
    workload.uid,
    {
      workloadUid: workload.uid,
      port: portMap(workload.services.get(serviceKey(service)) ?? []),
      status: workload.status === "healthy" ? "Healthy" : "Unhealthy",
    },
  ]);
  const blocks = service.addresses.filter(({ cidr }) => cidr !== undefined);
  return {
    ...withoutDefaults({
      waypoint: service.waypoint && dumpGateway(service.waypoint),
      cidrVips: blocks.map(({ network, cidr }) => ({ network, cidr: cidr && formatCidr(cidr) })),
      loadBalancer: service.loadBalancing && dumpLoadBalancing(service.loadBalancing),
      ipFamilies: IP_FAMILIES[service.ipFamilies],
      weightedWaypoints: service.weightedWaypoints.map(({ destination, weight }) => ({
        destination: dumpGateway(destination),
        weight,
      })),
    }),
    name: service.name,
    namespace: service.namespace,
    hostname: service.hostname,
    vips: service.addresses.filter(({ cidr }) => cidr === undefined).map(networkAddressKey),
    ports: portMap(service.ports),
    endpoints: Object.fromEntries(endpoints),
    subjectAltNames: service.subjectAltNames,
    canonical: service.canonical,
    visibility: service.visibility === "public" ? "Public" : "Namespace",
  };
}

/** ztunnel leaves "automatic" out. */
const IP_FAMILIES = {
  automatic: undefined,
  "ipv4-only": "IPv4",
  "ipv6-only": "IPv6",
  dual: "Dual",
} as const;

function portMap(ports: Service["ports"]): object {
  return Object.fromEntries(ports.map(({ servicePort, targetPort }) => [servicePort, targetPort]));
}

function dumpLoadBalancing({ routingPreference, mode, healthPolicy }: LoadBalancing): object {
  return {
    routingPreferences: routingPreference.map(pascalCase),
    // Istio's ztunnel has a name of its own for it.
    mode: mode === "unspecified" ? "Standard" : pascalCase(mode),
    healthPolicy: pascalCase(healthPolicy),
  };
}

type LoadBalancing = NonNullable<Service["loadBalancing"]>;

function dumpGateway(gateway: GatewayAddress): object {
  const destination =
    gateway.kind === "hostname" ? serviceKey(gateway.name) : networkAddressKey(gateway.address);
  return { destination, hboneMtlsPort: gateway.hboneMtlsPort };
}

const SCOPES = {
  global: "Global",
  namespace: "Namespace",
  "workload-selector": "WorkloadSelector",
} as const;

function dumpPolicy(policy: Authorization): object {
  return {
    name: policy.name,
    namespace: policy.namespace,
    scope: SCOPES[policy.scope],
    action: pascalCase(policy.action),
    rules: policy.rules.map((rule) => rule.clauses.map((clause) => clause.matches.map(dumpMatch))),
    dryRun: policy.dryRun,
  };
}

function dumpMatch(match: Match): object {
  return withoutDefaults({
    namespaces: match.namespaces.map(dumpString),
    notNamespaces: match.notNamespaces.map(dumpString),
    serviceAccounts: match.serviceAccounts,
    notServiceAccounts: match.notServiceAccounts,
    principals: match.principals.map(dumpString),
    notPrincipals: match.notPrincipals.map(dumpString),
    sourceIps: match.sourceIps.map((cidr: Cidr) => formatCidr(cidr)),
    notSourceIps: match.notSourceIps.map((cidr: Cidr) => formatCidr(cidr)),
    destinationIps: match.destinationIps.map((cidr: Cidr) => formatCidr(cidr)),
    notDestinationIps: match.notDestinationIps.map((cidr: Cidr) => formatCidr(cidr)),
    destinationPorts: match.destinationPorts,
    notDestinationPorts: match.notDestinationPorts,
  });
}

function dumpString(match: StringMatch): object {
  return match.kind === "presence" ? { Presence: [] } : { [pascalCase(match.kind)]: match.value };
}

/** ztunnel leaves out what is empty. */
function withoutDefaults(fields: Record<string, unknown>): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !isEmpty(value)));
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === "") return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function pascalCase(text: string): string {
  return text
    .split("-")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
}
