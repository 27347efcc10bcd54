/**
 * Who asks for what: from a CONNECT to a `Downstream`. Only what is bound to this waypoint is
 * served, whatever else the mesh has.
 */
import { type Authority, parseAuthority } from "#common/hbone/authority.ts";
import { forwardedFor } from "#common/hbone/forwarded.ts";
import type { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { formatSocketAddress, parseIp, type SocketAddress } from "#common/model/ip.ts";
import { ILLEGAL_PORTS } from "#common/model/ports.ts";
import { type Workload, workloadIdentity } from "#common/model/workload.ts";
import { type ConnectionFailure, failure } from "#common/transport/failure.ts";
import type { VerifiedPeer } from "#common/transport/hbone-sessions.ts";
import type { Downstream } from "../filter/stage.ts";
import { portOf } from "../state/waypoint-state.ts";
import type { WaypointStore } from "../state/waypoint-store.ts";

export interface DownstreamContext {
  readonly mesh: ProxyState;
  readonly store: Pick<WaypointStore, "current">;
  /** The waypoint's own. */
  readonly network: string;
  /** Whose waypoint this is. */
  readonly gateway: { readonly namespace: string; readonly name: string };
}

/** The fields of CONNECT that count. */
export interface ConnectRequest {
  readonly authority: string;
  readonly forwarded: string | undefined;
}

export function describeDownstream(
  context: DownstreamContext,
  { authority: text, forwarded }: ConnectRequest,
  peer: VerifiedPeer,
): Downstream | ConnectionFailure {
  const authority = parseAuthority(text);
  if (authority.kind === "error") return failure("bad-request", authority.message);
  const asked = findAsked(context, authority, peer.identity.namespace);
  if ("ok" in asked) return asked;
  const host = authority.kind === "ip" ? authority.ip : authority.hostname;
  return {
    peer: peer.identity,
    ...sourceOf(context, peer, forwarded),
    destination: { host, port: authority.port },
    ...asked,
    sni: undefined,
  };
}

/** What the destination of a connection is now; a failure where it is nothing of ours any more. */
export function describeAgain(
  context: DownstreamContext,
  downstream: Downstream,
): Downstream | ConnectionFailure {
  const { host, port } = downstream.destination;
  const ip = parseIp(host);
  const authority: Valid =
    ip === undefined ? { kind: "hostname", hostname: host, port } : { kind: "ip", ip, port };
  const asked = findAsked(context, authority, downstream.peer.namespace);
  return "ok" in asked ? asked : { ...downstream, ...asked };
}

type Asked = Pick<Downstream, "service" | "port" | "workload">;
type Valid = Exclude<Authority, { readonly kind: "error" }>;

function findAsked(
  context: DownstreamContext,
  authority: Valid,
  clientNamespace: string,
): Asked | ConnectionFailure {
  const { current } = context.store;
  const service =
    authority.kind === "ip"
      ? current.serviceAt(authority.ip, clientNamespace)
      : current.serviceNamed(authority.hostname, clientNamespace);
  if (service !== undefined) {
    const port = portOf(service, authority.port);
    if (port !== undefined) return { service, port, workload: undefined };
    return unknown(`${service.hostname} has no port ${authority.port}`);
  }
  if (authority.kind === "hostname") {
    return unknown(`${authority.hostname}:${authority.port} is nothing of this waypoint's`);
  }
  return findWorkload(context, authority);
}

/** A pod's own address, where the pod is bound to this waypoint. */
function findWorkload(
  context: DownstreamContext,
  { ip, port }: SocketAddress,
): Asked | ConnectionFailure {
  const address = formatSocketAddress({ ip, port });
  const workload = context.mesh.findWorkloadByIp(context.network, ip);
  if (workload === undefined || !isBound(context, workload)) {
    return unknown(`${address} is nothing of this waypoint's`);
  }
  if (ILLEGAL_PORTS.has(port)) {
    return failure("recursive-call", `attempted recursive call to ourselves: ${address}`);
  }
  return { service: undefined, port: undefined, workload };
}

function isBound({ mesh, gateway }: DownstreamContext, { waypoint }: Workload): boolean {
  const found = waypoint && mesh.resolveGateway(waypoint);
  if (found?.kind !== "service") return false;
  const { namespace, name } = found.service;
  return namespace === gateway.namespace && name === gateway.name;
}

/**
 * A ztunnel calls from its pod's own address, in the pod's name, and says in `forwarded` from which
 * port. Another address than the connection's is believed only of a workload with the very identity
 * that the certificate proves: nobody speaks for others.
 */
function sourceOf(
  { mesh, network }: DownstreamContext,
  { address, identity }: VerifiedPeer,
  forwarded: string | undefined,
): Pick<Downstream, "source" | "sourceWorkload"> {
  const claimed = forwarded === undefined ? undefined : forwardedFor(forwarded);
  const workloadAt = ({ ip }: SocketAddress): Workload | undefined => {
    const workload = mesh.findWorkloadByIp(network, ip);
    return workload && workloadIdentity(workload).uri === identity.uri ? workload : undefined;
  };
  if (claimed === undefined) return { source: address, sourceWorkload: workloadAt(address) };
  const sourceWorkload = workloadAt(claimed);
  if (claimed.ip === address.ip || sourceWorkload !== undefined) {
    return { source: claimed, sourceWorkload };
  }
  return { source: address, sourceWorkload: workloadAt(address) };
}

function unknown(message: string): ConnectionFailure {
  return failure("unknown-destination", `unknown destination: ${message}`);
}
