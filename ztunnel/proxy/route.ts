/**
 * Where an outbound connection goes: Istio ztunnel's decision, in its order (ambient.md 2.2). Pure:
 * state and randomness come in, a route or a refusal comes out.
 */

import { selectEndpoint } from "#common/mesh-state/load-balancer.ts";
import type { ProxyState } from "#common/mesh-state/proxy-state.ts";
import type { GatewayAddress } from "#common/model/address.ts";
import {
  formatSocketAddress,
  type IpAddress,
  isLoopback,
  type SocketAddress,
} from "#common/model/ip.ts";
import { HBONE_PORT, ILLEGAL_PORTS } from "#common/model/ports.ts";
import { BLACK_HOLE, type Service } from "#common/model/service.ts";
import { type Workload, workloadIdentity } from "#common/model/workload.ts";
import { type ConnectionFailure, failure } from "#common/transport/failure.ts";

/** A tunnel to `address` on which `authority` is asked for. */
export interface HboneRoute {
  readonly kind: "hbone";
  readonly address: SocketAddress;
  readonly authority: string;
  /** What `authority` says. */
  readonly target: SocketAddress;
  /** Who terminates the tunnel: the destination, or its waypoint. */
  readonly tunnelWorkload: Workload;
  /** URIs of which the tunnel's server must present one. */
  readonly identities: readonly string[];
  readonly service: Service | undefined;
  /** The workload behind the tunnel; undefined behind a waypoint, which chooses it. */
  readonly destination: Workload | undefined;
}

/** Plain TCP to `address`: outside the mesh, or not (yet) reachable by HBONE. */
export interface TcpRoute {
  readonly kind: "tcp";
  readonly address: SocketAddress;
  readonly service: Service | undefined;
  readonly destination: Workload | undefined;
}

export type Route = HboneRoute | TcpRoute;

/** The endpoint that was chosen has a host name, whose addresses are not known yet. */
export interface UnresolvedRoute {
  readonly kind: "unresolved";
  readonly workload: Workload;
}

export interface RouteRequest {
  readonly state: ProxyState;
  readonly source: Workload;
  readonly original: SocketAddress;
  /** Endpoints (workload UIDs) that already failed for this connection. */
  readonly exclude: ReadonlySet<string>;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** What is known of the addresses of a host name. @default nothing */
  readonly addressesOf?: (hostname: string) => readonly IpAddress[] | undefined;
}

type Choice = Route | UnresolvedRoute | ConnectionFailure;

export function chooseRoute(request: RouteRequest): Choice {
  const { state, source, original } = request;
  if (isLoopback(original.ip) && ILLEGAL_PORTS.has(original.port)) {
    return failure("recursive-call", "attempted recursive call to ourselves");
  }
  const found = state.findAddress({
    network: source.network,
    ip: original.ip,
    clientNamespace: source.namespace,
  });
  if (found === undefined) {
    return { kind: "tcp", address: original, service: undefined, destination: undefined };
  }
  return found.kind === "service"
    ? routeToService(request, found.service)
    : routeToWorkload(request, found.workload);
}

function routeToService(request: RouteRequest, service: Service): Choice {
  const { state, source, original, exclude, random, addressesOf } = request;
  if (service.hostname === BLACK_HOLE) {
    const what = `${formatSocketAddress(original)} is in no object of the mesh`;
    const hint = "outboundTrafficPolicy is REGISTRY_ONLY: describe it with a ServiceEntry";
    return failure("registry-only", `${what}, and ${hint}`);
  }
  if (service.unusable !== undefined) return unusable(service.hostname, service.unusable);
  const waypoint = sampleWaypoint(service, random);
  if (waypoint !== undefined) return routeToWaypoint(request, waypoint, service);
  const endpoint = selectEndpoint(state, service, original.port, {
    sourceWorkload: source,
    exclude,
    random,
    family: original.ip.includes(":") ? "ipv6" : "ipv4",
    ...(addressesOf && { addressesOf }),
  });
  if (endpoint === undefined) {
    if (service.loadBalancing?.mode === "passthrough") {
      return { kind: "tcp", address: original, service, destination: undefined };
    }
    return failure("no-healthy-upstream", `no healthy upstream: ${formatSocketAddress(original)}`);
  }
  const { ip, targetPort: port, workload } = endpoint;
  if (ip === undefined) return { kind: "unresolved", workload };
  return routeDirect(source, workload, { ip, port }, service);
}

function routeToWorkload(request: RouteRequest, workload: Workload): Choice {
  const { source, original } = request;
  if (workload.waypoint !== undefined && !isWaypoint(request.state, source, workload.waypoint)) {
    return routeToWaypoint(request, workload.waypoint, undefined);
  }
  return routeDirect(source, workload, original, undefined);
}

function routeDirect(
  source: Workload,
  destination: Workload,
  address: SocketAddress,
  service: Service | undefined,
): Route | ConnectionFailure {
  if (destination.unusable !== undefined) return unusable(destination.uid, destination.unusable);
  if (destination.network !== source.network) {
    return failure(
      "unknown-destination",
      `${destination.uid} is in network "${destination.network}": multi-network is not supported`,
    );
  }
  if (destination.tunnelProtocol === "none") {
    return { kind: "tcp", address, service, destination };
  }
  return {
    kind: "hbone",
    address: { ip: address.ip, port: HBONE_PORT },
    authority: formatSocketAddress(address),
    target: address,
    tunnelWorkload: destination,
    identities: expectedIdentities(destination, service),
    service,
    destination,
  };
}

function routeToWaypoint(
  request: RouteRequest,
  gateway: GatewayAddress,
  service: Service | undefined,
): Choice {
  const { state, source, original } = request;
  const chosen = resolveWaypoint(request, gateway);
  if (chosen === undefined) {
    return failure("unknown-waypoint", `unknown waypoint: ${describeGateway(gateway)}`);
  }
  const { workload, ip } = chosen;
  if (ip === undefined) return { kind: "unresolved", workload };
  if (workload.unusable !== undefined) return unusable(workload.uid, workload.unusable);
  if (workload.network !== source.network) {
    return failure("unknown-waypoint", `waypoint ${workload.uid} is in another network`);
  }
  const waypointService =
    gateway.kind === "hostname"
      ? state.findServiceByHostname(gateway.name.hostname, gateway.name.namespace)
      : undefined;
  return {
    kind: "hbone",
    address: { ip, port: gateway.hboneMtlsPort },
    authority: formatSocketAddress(original),
    target: original,
    tunnelWorkload: workload,
    identities: expectedIdentities(workload, waypointService),
    service,
    destination: undefined,
  };
}

function resolveWaypoint(
  request: RouteRequest,
  gateway: GatewayAddress,
): { workload: Workload; ip: IpAddress | undefined } | undefined {
  const { state, source, exclude, random, addressesOf } = request;
  const found = state.resolveGateway(gateway);
  if (found === undefined) return undefined;
  if (found.kind === "workload") {
    const ip = found.workload.addresses[0];
    return ip === undefined ? undefined : { workload: found.workload, ip };
  }
  return selectEndpoint(state, found.service, gateway.hboneMtlsPort, {
    sourceWorkload: source,
    exclude,
    random,
    waypoint: true,
    ...(addressesOf && { addressesOf }),
    family: request.original.ip.includes(":") ? "ipv6" : "ipv4",
  });
}

function sampleWaypoint(service: Service, random: () => number): GatewayAddress | undefined {
  const total = service.weightedWaypoints.reduce((sum, waypoint) => sum + waypoint.weight, 0);
  let point = random() * total;
  for (const waypoint of service.weightedWaypoints) {
    point -= waypoint.weight;
    if (point < 0) return waypoint.destination;
  }
  return service.waypoint;
}

/**
 * Whether `source` is one of the workloads behind the gateway: a waypoint calls its workloads
 * directly.
 */
function isWaypoint(state: ProxyState, source: Workload, gateway: GatewayAddress): boolean {
  const found = state.resolveGateway(gateway);
  if (found === undefined) return false;
  if (found.kind === "workload") return found.workload.uid === source.uid;
  return source.services.has(`${found.service.namespace}/${found.service.hostname}`);
}

function expectedIdentities(workload: Workload, service: Service | undefined): readonly string[] {
  const own = workloadIdentity(workload).uri;
  const names = service?.subjectAltNames ?? [];
  return names.length === 0 ? [own] : [own, ...names.filter((name) => name !== own)].sort();
}

/** To connect in some other way than the control plane said could be without encryption. */
function unusable(what: string, why: string): ConnectionFailure {
  return failure("unknown-destination", `${what} cannot be connected to: ${why}`);
}

function describeGateway(gateway: GatewayAddress): string {
  return gateway.kind === "hostname"
    ? `${gateway.name.namespace}/${gateway.name.hostname}`
    : gateway.address.ip;
}
