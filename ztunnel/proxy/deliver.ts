/**
 * The last step of an inbound connection: from ztunnel to the application, as if its client had
 * called.
 */
import type { IpAddress, SocketAddress } from "#common/model/ip.ts";
import type { Permit } from "./admit.ts";
import type { ConnectionFailure } from "./failure.ts";
import type { PodContext } from "./pod-context.ts";
import type { TcpEnd } from "./tcp-end.ts";

/** Connects to the application that the permit names, inside the pod, from the client's address. */
export async function deliver(
  context: PodContext,
  permit: Permit,
  clientIp: IpAddress,
): Promise<TcpEnd | ConnectionFailure> {
  const { dialer, netns, keepSourceAddress } = context;
  const { destinationIp, destinationPort } = permit.connection;
  const address: SocketAddress = { ip: destinationIp, port: destinationPort };
  return dialer.connectEnd({ netns, address, ...(keepSourceAddress && { source: clientIp }) });
}
