/** The live parts of `/config_dump`: certificates, and captured pods with their connections. */
import type { CapturedPod, CaptureState } from "#common/model/captured-pod.ts";
import type { CertManager } from "../identity/cert-manager.ts";
import type { ConnectionSummary } from "../proxy/worker-protocol.ts";
import type { CertificateState, PodState } from "./config-dump.ts";

export function* certificateStates(
  certificates: Pick<CertManager, "statuses">,
): Generator<CertificateState> {
  for (const { identity, status } of certificates.statuses()) {
    const certificate = status.state === "available" ? status.certificate : undefined;
    yield {
      identity: identity.uri,
      state:
        status.state === "unavailable" ? `Unavailable: ${status.error}` : capital(status.state),
      certChainPem: certificate?.certChainPem ?? "",
      rootsPem: certificate?.rootsPem ?? "",
    };
  }
}

export function podStates(
  pods: Iterable<{ readonly pod: CapturedPod; readonly state: CaptureState }>,
  connections: readonly ConnectionSummary[],
): PodState[] {
  return [...pods].map(({ pod, state }) => {
    const own = connections.filter(({ podUid }) => podUid === pod.uid);
    return {
      uid: pod.uid,
      state: state === "enabled" ? "Up" : "Pending",
      info: { name: pod.name, namespace: pod.namespace, serviceAccount: pod.serviceAccount },
      connections: {
        inbound: own.filter(({ direction }) => direction === "inbound").map(dumpConnection),
        outbound: own.filter(({ direction }) => direction === "outbound").map(dumpConnection),
      },
    };
  });
}

/** The field names of istio/ztunnel src/proxy/connection_manager.rs. */
function dumpConnection(connection: ConnectionSummary): object {
  return {
    src: connection.source,
    originalDst: connection.hboneAddress ?? connection.destination,
    actualDst: connection.destination,
    protocol: connection.security === "unknown" ? "TCP" : "HBONE",
  };
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
