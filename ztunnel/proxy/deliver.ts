/**
 * The last step of an inbound connection: from ztunnel to the application, as if its client had
 * called.
 */
import type { IpAddress, SocketAddress } from "#common/model/ip.ts";
import type { ConnectionFailure } from "#common/transport/failure.ts";
import type { Permit } from "./admit.ts";
import type { PodContext } from "./pod-context.ts";
import type { TcpEnd } from "./tcp-end.ts";

/**
 * Connects to the application that the permit names, inside the pod, from the client's address.
 * `onPending` is told how to give it up while it is under way.
 */
export function deliver(
  context: PodContext,
  permit: Permit,
  clientIp: IpAddress,
  onPending?: (giveUp: () => void) => void,
): Promise<TcpEnd | ConnectionFailure> {
  const { dialer, netns, keepSourceAddress } = context;
  const { destinationIp, destinationPort } = permit.connection;
  const address: SocketAddress = { ip: destinationIp, port: destinationPort };
  const source = keepSourceAddress && { source: clientIp };
  return dialer.connectEnd({ netns, address, ...source, ...(onPending && { onPending }) });
}
