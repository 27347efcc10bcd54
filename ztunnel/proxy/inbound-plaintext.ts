/**
 * Plain TCP that arrives at a captured pod: redirected to 15006, judged by policy, delivered as it
 * is.
 */
import type { Connection } from "#common/model/connection.ts";
import { formatSocketAddress, type SocketAddress } from "#common/model/ip.ts";
import { ILLEGAL_PORTS } from "#common/model/ports.ts";
import type { Workload } from "#common/model/workload.ts";
import { type ConnectionFailure, failure } from "#common/transport/failure.ts";
import { admit, type Permit } from "./admit.ts";
import type { ConnectionMeta } from "./connection-tracker.ts";
import { deliver } from "./deliver.ts";
import { addressName } from "./look-ups.ts";
import type { PodContext } from "./pod-context.ts";
import type { TcpEnd } from "./tcp-end.ts";

export class InboundPlaintext {
  readonly #context: PodContext;

  constructor(context: PodContext) {
    this.#context = context;
  }

  /** Takes over an accepted connection; never rejects. */
  async handle(
    client: TcpEnd,
    clientAddress: SocketAddress,
    original: SocketAddress | undefined,
  ): Promise<void> {
    const { tracker, pod } = this.#context;
    const startedAt = performance.now();
    const { workload, permit, result } = await this.#connect(clientAddress, original);
    const meta = this.#meta(clientAddress, original, workload);
    if ("ok" in result) {
      client.reset();
      tracker.refused(meta, startedAt, result);
      return;
    }
    const permitted = { ...meta, ...(permit && { permit }) };
    tracker.relay(pod.uid, permitted, startedAt, client, result);
  }

  async #connect(
    clientAddress: SocketAddress,
    original: SocketAddress | undefined,
  ): Promise<{ workload?: Workload; permit?: Permit; result: TcpEnd | ConnectionFailure }> {
    const { waiter, lookUps, pod } = this.#context;
    if (original === undefined) {
      const message = "the original destination of a redirected connection is not known";
      return { result: failure("original-destination-missing", message) };
    }
    if (ILLEGAL_PORTS.has(original.port)) {
      const message = `attempted recursive call to ourselves: ${formatSocketAddress(original)}`;
      return { result: failure("recursive-call", message) };
    }
    const workload = await waiter.localWorkload(pod.workloadUid);
    if ("ok" in workload) return { result: workload };
    lookUps?.mention(addressName(workload.network, clientAddress.ip));
    const connection: Connection = {
      sourceIp: clientAddress.ip,
      destinationIp: original.ip,
      destinationPort: original.port,
      destinationNetwork: workload.network,
    };
    const permit = await admit(waiter, workload, connection);
    if ("ok" in permit) return { workload, result: permit };
    const result = await deliver(this.#context, permit, clientAddress.ip);
    return { workload, permit, result };
  }

  #meta(
    clientAddress: SocketAddress,
    original: SocketAddress | undefined,
    workload: Workload | undefined,
  ): ConnectionMeta {
    const { state } = this.#context;
    const network = workload?.network ?? "";
    return {
      reporter: "destination",
      sourceAddress: clientAddress,
      source: state.findWorkloadByIp(network, clientAddress.ip),
      sourceIdentity: undefined,
      destinationAddress: original,
      hboneAddress: undefined,
      destination: workload,
      destinationIdentity: undefined,
      service: undefined,
      security: "unknown",
    };
  }
}
