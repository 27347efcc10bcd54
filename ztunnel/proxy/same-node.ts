/**
 * The way between two pods of one ztunnel. Both ends are this process, which holds both identities:
 * a second pass through the network, and TLS with itself, would protect nothing. All that decides
 * and tells stays as it is with a tunnel: the source's certificate, the destination's policies, the
 * client's address, a log line and metrics on either side.
 */
import { serviceKey } from "#common/model/address.ts";
import type { Connection } from "#common/model/connection.ts";
import type { IpAddress, SocketAddress } from "#common/model/ip.ts";
import { formatSocketAddress } from "#common/model/ip.ts";
import { ILLEGAL_PORTS } from "#common/model/ports.ts";
import type { Service } from "#common/model/service.ts";
import { type Workload, workloadIdentity } from "#common/model/workload.ts";
import type { End } from "#common/transport/end.ts";
import { type ConnectionFailure, failure, limitReached } from "#common/transport/failure.ts";
import { statusFailure } from "#common/transport/hbone-tunnel.ts";
import { admit, type Permit } from "./admit.ts";
import { deliver } from "./deliver.ts";
import { statusOf } from "./inbound-hbone.ts";
import { identifiedMeta } from "./inbound-meta.ts";
import { linkedEnds } from "./linked-ends.ts";
import type { PodContext } from "./pod-context.ts";
import type { TcpEnd } from "./tcp-end.ts";

export interface LocalRequest {
  readonly source: Workload;
  readonly clientAddress: SocketAddress;
  /** The application's address and port. */
  readonly target: SocketAddress;
  readonly service: Service | undefined;
}

/** The pods of this data worker that take connections from each other directly. */
export class LocalPods {
  readonly #byWorkload = new Map<string, PodContext>();

  add(pod: PodContext): void {
    this.#byWorkload.set(pod.pod.workloadUid, pod);
  }

  /** Does nothing where another pod has taken the workload's place. */
  remove({ pod }: PodContext): void {
    const current = this.#byWorkload.get(pod.workloadUid);
    if (current?.pod.uid === pod.uid) this.#byWorkload.delete(pod.workloadUid);
  }

  /**
   * The pod behind `workload` if it can be reached directly at `ip`: it is served here, the address
   * is its own, and it holds the certificate that it would have to show.
   */
  find(workload: Workload, ip: IpAddress): PodContext | undefined {
    const context = this.#byWorkload.get(workload.uid);
    if (context === undefined || !context.pod.ips.includes(ip)) return undefined;
    const stored = context.certificates.peek(workloadIdentity(workload));
    return stored !== undefined && stored.certificate.notAfter > Date.now() ? context : undefined;
  }
}

/** Authorizes and connects at the destination; the end is the source's side of the connection. */
export async function connectSameNode(
  destination: PodContext,
  request: LocalRequest,
): Promise<End | ConnectionFailure> {
  const { tracker, waiter, capacity, pod, state } = destination;
  const startedAt = performance.now();
  const workload = await waiter.localWorkload(pod.workloadUid);
  if ("ok" in workload) return statusFailure(statusOf(workload));
  const limit = capacity.reached(pod.uid);
  const { permit, result } =
    limit === undefined
      ? await admitAndDeliver(destination, workload, request)
      : { result: limitReached(limit, "no room for one more") };
  const peer = {
    identity: workloadIdentity(request.source),
    address: request.clientAddress,
    localIp: request.target.ip,
  };
  const { service } = request;
  const served = service && workload.services.has(serviceKey(service)) ? service : undefined;
  const asked = { workload, target: request.target, service: served };
  const meta = { ...identifiedMeta(state, peer, asked), security: "same_node" } as const;
  if ("ok" in result) {
    tracker.refused(meta, startedAt, result);
    return statusFailure(statusOf(result));
  }
  const [source, inbound] = linkedEnds();
  tracker.relay(pod.uid, { ...meta, ...(permit && { permit }) }, startedAt, inbound, result);
  return source;
}

async function admitAndDeliver(
  destination: PodContext,
  workload: Workload,
  { source, clientAddress, target }: LocalRequest,
): Promise<{ permit?: Permit; result: TcpEnd | ConnectionFailure }> {
  if (ILLEGAL_PORTS.has(target.port)) {
    const message = `attempted recursive call to ourselves: ${formatSocketAddress(target)}`;
    return { result: failure("recursive-call", message) };
  }
  const connection: Connection = {
    sourceIp: clientAddress.ip,
    sourceIdentity: workloadIdentity(source),
    destinationIp: target.ip,
    destinationPort: target.port,
    destinationNetwork: workload.network,
  };
  const permit = await admit(destination.waiter, workload, connection);
  if ("ok" in permit) return { result: permit };
  return { permit, result: await deliver(destination, permit, clientAddress.ip) };
}
