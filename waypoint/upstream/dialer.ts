/**
 * Connections to endpoints: by HBONE into the mesh, plain TCP to what is outside it, with TLS of
 * their own inside where that is asked for.
 */
import net from "node:net";
import { formatSocketAddress } from "#common/model/ip.ts";
import type { End } from "#common/transport/end.ts";
import { EndDuplex } from "#common/transport/end-duplex.ts";
import { CLIENT_LEFT, type ConnectionFailure } from "#common/transport/failure.ts";
import type { FlushBatcher } from "#common/transport/flush-batcher.ts";
import type { OnRetired } from "#common/transport/hbone-tunnel.ts";
import { SocketEnd } from "#common/transport/socket-end.ts";
import type { LocalReply } from "../filter/stage.ts";
import { EndWire } from "./end-wire.ts";
import type { HboneDialer } from "./hbone-dialer.ts";
import { proxyProtocolHeader } from "./proxy-protocol.ts";
import { connectTcp } from "./tcp-dialer.ts";
import { originateTls } from "./tls-origination.ts";
import type { DialRequest, OpenWire } from "./upstream.ts";

export interface DialerDeps {
  readonly hbone: Pick<HboneDialer, "open">;
  readonly batcher: FlushBatcher;
}

export function createDialer({ hbone, batcher }: DialerDeps): OpenWire {
  return async (request) => {
    const carrier = await connect(request, hbone, batcher);
    if ("ok" in carrier) return reply(request, carrier);
    const { end, onRetired } = carrier;
    const { policy, client, endpoint } = request;
    if (policy.proxyProtocol !== undefined) {
      const header = proxyProtocolHeader(policy.proxyProtocol, client, endpoint.address);
      end.write(header, undefined);
    }
    if (policy.tls === undefined) return new EndWire(end, onRetired);
    const secured = await secure(request, policy.tls, end, batcher);
    return "ok" in secured ? reply(request, secured) : new EndWire(secured, onRetired);
  };
}

/** What carries the bytes; a connection of its own is never retired. */
interface Carrier {
  readonly end: End;
  readonly onRetired?: OnRetired;
}

/** What comes too late for whoever asked is closed again. */
async function connect(
  request: DialRequest,
  hbone: DialerDeps["hbone"],
  batcher: FlushBatcher,
): Promise<Carrier | ConnectionFailure> {
  const { endpoint, signal } = request;
  if (signal.aborted) return CLIENT_LEFT;
  if (endpoint.transport === "plaintext") {
    const socket = await connectTcp(endpoint.address, { allowHalfOpen: true, signal });
    return socket instanceof net.Socket ? { end: new SocketEnd(socket, batcher) } : socket;
  }
  const { promise: aborted, resolve } = Promise.withResolvers<ConnectionFailure>();
  const onAbort = (): void => resolve(CLIENT_LEFT);
  signal.addEventListener("abort", onAbort, { once: true });
  const opening = hbone.open(request);
  const first = await Promise.race([opening, aborted]);
  signal.removeEventListener("abort", onAbort);
  if (first === CLIENT_LEFT) void opening.then((late) => "ok" in late || late.end.reset());
  return first;
}

async function secure(
  { backend, protocol, signal }: DialRequest,
  policy: NonNullable<DialRequest["policy"]["tls"]>,
  carrier: End,
  batcher: FlushBatcher,
): Promise<End | ConnectionFailure> {
  const alpn = ALPN[protocol];
  const { hostname } = backend;
  const socket = await originateTls(new EndDuplex(carrier), { policy, hostname, alpn, signal });
  return "ok" in socket ? socket : new SocketEnd(socket, batcher);
}

const ALPN = { http1: "http/1.1", http2: "h2", tcp: undefined } as const;

function reply({ endpoint }: DialRequest, { message }: ConnectionFailure): LocalReply {
  const where = `${endpoint.workload.uid} (${formatSocketAddress(endpoint.address)})`;
  return {
    status: 503,
    reason: "upstream-connect-failure",
    body: "upstream connect error or disconnect before headers",
    detail: `${where}: ${message}`,
  };
}
