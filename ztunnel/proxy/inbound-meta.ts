/** What the destination reports of connections that come by HBONE. */

import type { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { formatSocketAddress, type IpAddress, type SocketAddress } from "#common/model/ip.ts";
import { HBONE_PORT } from "#common/model/ports.ts";
import type { Service } from "#common/model/service.ts";
import { type Workload, workloadIdentity } from "#common/model/workload.ts";
import type { VerifiedPeer } from "#common/transport/hbone-sessions.ts";
import type { ConnectionMeta } from "./connection-tracker.ts";

/** What the peer asked for, as far as it is known. */
export interface Asked {
  readonly workload: Workload | undefined;
  readonly target: SocketAddress | undefined;
  readonly service: Service | undefined;
}

export function identifiedMeta(
  state: ProxyState,
  peer: VerifiedPeer,
  { workload, target, service }: Asked,
): ConnectionMeta {
  const byIp = state.findWorkloadByIp(workload?.network ?? "", peer.address.ip);
  // The address is only a hint; the certificate decides who the source is.
  const known = byIp !== undefined && workloadIdentity(byIp).uri === peer.identity.uri;
  return {
    reporter: "destination",
    sourceAddress: peer.address,
    source: known ? byIp : undefined,
    sourceIdentity: peer.identity,
    destinationAddress: { ip: peer.localIp, port: HBONE_PORT },
    hboneAddress: target && formatSocketAddress(target),
    destination: workload,
    destinationIdentity: workload && workloadIdentity(workload),
    service,
    security: "mutual_tls",
  };
}

/** What the destination reports of a connection that never proved who it was. */
export function strangerMeta(
  address: SocketAddress | undefined,
  localIp: IpAddress | undefined,
  destination: Workload | undefined,
): ConnectionMeta {
  return {
    reporter: "destination",
    sourceAddress: address,
    source: undefined,
    sourceIdentity: undefined,
    destinationAddress: localIp && { ip: localIp, port: HBONE_PORT },
    hboneAddress: undefined,
    destination,
    destinationIdentity: undefined,
    service: undefined,
    security: "unknown",
  };
}
