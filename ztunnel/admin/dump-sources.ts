/** The live part of `/config_dump`: captured pods with their connections. */
import type { CapturedPod, CaptureState } from "#common/model/captured-pod.ts";
import type { ConnectionSummary } from "../proxy/worker-protocol.ts";
import type { PodState } from "./config-dump.ts";

export function podStates(
  pods: Iterable<{ readonly pod: CapturedPod; readonly state: CaptureState }>,
  connections: readonly ConnectionSummary[],
): PodState[] {
  const byPod = Map.groupBy(connections, ({ podUid }) => podUid);
  return [...pods].map(({ pod, state }) => {
    const own = byPod.get(pod.uid) ?? [];
    return {
      uid: pod.uid,
      state: state === "enabled" ? "Up" : "Pending",
      info: { name: pod.name, namespace: pod.namespace, serviceAccount: pod.serviceAccount },
      connections: {
        inbound: own.filter(({ direction }) => direction === "inbound").map(dumpInbound),
        outbound: own.filter(({ direction }) => direction === "outbound").map(dumpOutbound),
      },
    };
  });
}

// Names and meanings of istio/ztunnel src/proxy/connection_manager.rs.

/** From what the client dialled to where that took it: the tunnel's address, if there is one. */
function dumpOutbound({ source, dialled, destination, security }: ConnectionSummary): object {
  const protocol = protocolOf(security);
  return { src: source, originalDst: dialled, actualDst: destination, protocol };
}

/** From the service that the client says it wanted to the application's own address. */
function dumpInbound(connection: ConnectionSummary): object {
  return {
    src: connection.source,
    originalDst: connection.service ?? null,
    actualDst: connection.hboneAddress ?? connection.destination,
    protocol: protocolOf(connection.security),
  };
}

/** What stays on one node is as good as in a tunnel: both identities are proven. */
function protocolOf(security: ConnectionSummary["security"]): "TCP" | "HBONE" {
  return security === "unknown" ? "TCP" : "HBONE";
}
