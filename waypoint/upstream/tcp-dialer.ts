/** Plain TCP connections of the waypoint's own. */
import net from "node:net";
import { formatSocketAddress, type SocketAddress } from "#common/model/ip.ts";
import { CLIENT_LEFT, type ConnectionFailure, failure } from "#common/transport/failure.ts";
import { CONNECT_TIMEOUT_MS, TCP_KEEPALIVE_MS } from "../limits.ts";

export interface TcpOptions {
  /** Whether our side goes on sending when the other has said that it will send no more. */
  readonly allowHalfOpen: boolean;
  readonly signal?: AbortSignal;
}

/** A connected socket that reads nothing yet; errors of it are its user's to hear of. */
export function connectTcp(
  address: SocketAddress,
  { allowHalfOpen, signal }: TcpOptions,
): Promise<net.Socket | ConnectionFailure> {
  const { promise, resolve } = Promise.withResolvers<net.Socket | ConnectionFailure>();
  const socket = net.connect({
    host: address.ip,
    port: address.port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: TCP_KEEPALIVE_MS,
    allowHalfOpen,
  });
  const settle = (result: net.Socket | ConnectionFailure): void => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
    socket.off("error", onError).off("connect", onConnect);
    if ("ok" in result) socket.on("error", () => undefined).destroy();
    resolve(result);
  };
  const onConnect = (): void => settle(socket);
  const onError = (error: Error): void => settle(notConnected(address, error.message));
  const onAbort = (): void => settle(CLIENT_LEFT);
  const timer = setTimeout(() => settle(notConnected(address)), CONNECT_TIMEOUT_MS);
  socket.once("connect", onConnect).once("error", onError);
  if (signal?.aborted) onAbort();
  else signal?.addEventListener("abort", onAbort, { once: true });
  return promise;
}

/** Without `why` it took too long. */
function notConnected(address: SocketAddress, why?: string): ConnectionFailure {
  const reason = why === undefined ? "connect-timeout" : "connect-failed";
  const how = why === undefined ? "timed out" : `failed: ${why}`;
  const message = `connection to ${formatSocketAddress(address)} ${how}`;
  return failure(reason, message, { retriable: true });
}
