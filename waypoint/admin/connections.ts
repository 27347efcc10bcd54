/**
 * `/connections`: the clients' connections that stand, and the tunnels to endpoints, an object a
 * line. Both are bounded where they are made (`CLIENT_CONNECTIONS`, a tunnel per endpoint or few).
 */
import { formatSocketAddress, parseIp } from "#common/model/ip.ts";
import type { HboneTunnel } from "#common/transport/hbone-tunnel.ts";
import type { StandingConnection } from "../listener/connections.ts";

export interface ConnectionSources {
  readonly connections: Iterable<StandingConnection>;
  readonly tunnels: Iterable<Pick<HboneTunnel, "target" | "activeStreams">>;
  /** As `Date.now()`. */
  readonly now: number;
}

export async function* writeConnections(sources: ConnectionSources): AsyncGenerator<string> {
  const { connections, tunnels, now } = sources;
  yield '{\n"connections": [';
  yield* lines(connections, (one) => dumpConnection(one, now));
  yield '],\n"tunnels": [';
  yield* lines(tunnels, ({ target, activeStreams }) => ({
    workload: target.workloadUid,
    address: formatSocketAddress(target.address),
    streams: activeStreams,
  }));
  yield "]\n}\n";
}

function dumpConnection(connection: StandingConnection, now: number): object {
  const { carries, peer, source, destination, hostname, sni, endpoint, since } = connection;
  return {
    src: formatSocketAddress(source),
    peer: peer.uri,
    dst: formatDestination(destination),
    ...(hostname !== undefined && { service: hostname }),
    ...(sni !== undefined && { sni }),
    carries,
    ...(endpoint && { endpoint: endpoint.uid, address: formatSocketAddress(endpoint.address) }),
    seconds: Math.max(0, Math.round((now - since) / 1_000)),
  };
}

/** A host name stands as it is. */
function formatDestination({ host, port }: StandingConnection["destination"]): string {
  const ip = parseIp(host);
  return ip === undefined ? `${host}:${port}` : formatSocketAddress({ ip, port });
}

function* lines<T>(items: Iterable<T>, dump: (item: T) => object): Generator<string> {
  let separator = "\n";
  for (const item of items) {
    yield separator + JSON.stringify(dump(item));
    separator = ",\n";
  }
  yield "\n";
}
