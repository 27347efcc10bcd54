/** What converting the rules of a VirtualService for one port of a service needs. */
import type { IstioDestination, VirtualService } from "#common/kubernetes/istio-route-objects.ts";
import type { BackendRef, Origin } from "#common/model/waypoint/http-route.ts";
import type { Mesh, ServiceFacts } from "../waypoints/contributions.ts";
import { fullHost } from "./hosts.ts";
import type { Remarks } from "./remarks.ts";
import type { ServiceHosts } from "./service-hosts.ts";

export interface RoutingContext {
  readonly virtualService: VirtualService;
  readonly service: ServiceFacts;
  readonly port: number;
  readonly clusterDomain: string;
  readonly mesh: Mesh;
  readonly hosts: ServiceHosts;
  /** The subsets of a service, for this object; undefined where nobody describes any. */
  readonly subsetsOf: (service: ServiceFacts) => ReadonlySet<string>;
  readonly remarks: Remarks;
}

/** The gateway that stands for the mesh itself. */
const MESH_GATEWAY = "mesh";

/** Of an object or a match: whether it is for the traffic of the mesh. */
export function isForMesh(gateways: readonly string[] | undefined): boolean {
  return gateways === undefined || gateways.length === 0 || gateways.includes(MESH_GATEWAY);
}

export function namespaceOf({ metadata }: VirtualService): string {
  return metadata.namespace ?? "default";
}

export function originOf(virtualService: VirtualService, rule: number, ruleName?: string): Origin {
  return {
    kind: "VirtualService",
    namespace: namespaceOf(virtualService),
    name: virtualService.metadata.name,
    rule,
    ...(ruleName !== undefined && ruleName !== "" && { ruleName }),
  };
}

export type Resolved =
  | { readonly backend: BackendRef; readonly invalid?: never }
  | { readonly backend?: never; readonly invalid: string };

/**
 * A port that is not given is the destination's only one, else the one that the request came to.
 * Source: Istio, GetDestinationCluster.
 */
export function resolveDestination(
  destination: IstioDestination,
  field: string,
  context: RoutingContext,
): Resolved {
  const { virtualService, clusterDomain, hosts, mesh, remarks } = context;
  const namespace = namespaceOf(virtualService);
  const host = fullHost(destination.host, namespace, clusterDomain);
  const facts = hosts.owner(host, namespace, mesh);
  if (facts === undefined) return invalid(remarks, `${field}.host`, `there is no host ${host}`);
  const [only] = facts.ports;
  const implied = facts.ports.length === 1 && only !== undefined ? only.port : context.port;
  const port = destination.port?.number ?? implied;
  if (!facts.ports.some((known) => known.port === port)) {
    const known = facts.ports.map((each) => each.port).join(", ") || "none";
    return invalid(remarks, `${field}.port`, `${host} has no port ${port}, it has ${known}`);
  }
  const { subset } = destination;
  if (subset !== undefined && !context.subsetsOf(facts).has(subset)) {
    const message = `no DestinationRule for ${host} has subset ${subset}: its share gets 503`;
    remarks.add(`${field}.subset`, message);
  }
  const { hostname } = facts;
  const backend = { namespace: facts.namespace, hostname, port };
  return { backend: subset === undefined ? backend : { ...backend, subset } };
}

function invalid(remarks: Remarks, field: string, message: string): Resolved {
  remarks.add(field, `${message}: its share of the requests gets 500`);
  return { invalid: message };
}

/** Of a single destination the weight does not count; of several it is 0 unless given. */
export function weightOf(weight: number | undefined, all: readonly unknown[]): number {
  return all.length === 1 ? 1 : (weight ?? 0);
}

/** Every host that its routes and mirrors name, as they are written. */
export function destinationsOf(virtualService: VirtualService | undefined): readonly string[] {
  const { http = [], tls = [], tcp = [] } = virtualService?.spec ?? {};
  const routes = [...http, ...tls, ...tcp].flatMap(({ route = [] }) => route);
  const mirrors = http.flatMap(({ mirror, mirrors: more = [] }) => [
    ...(mirror === undefined ? [] : [mirror]),
    ...more.map(({ destination }) => destination),
  ]);
  return [...routes.map(({ destination }) => destination), ...mirrors].map(({ host }) => host);
}
