/** A pod that this node's ztunnel has to capture, and what is reported back about it. */
import type { IpAddress } from "./ip.ts";

export interface CapturedPod {
  /** metadata.uid of the Kubernetes Pod. */
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly ips: readonly IpAddress[];
  /** The uid of this pod's Workload: `<cluster>//Pod/<namespace>/<name>`. */
  readonly workloadUid: string;
  /** `ambient.istio.io/bypass-inbound-capture`: HBONE in only, no redirect of inbound plaintext. */
  readonly bypassInboundCapture: boolean;
  /** Whether its DNS goes to ztunnel's proxy; where a CNI agent captures it, whether it may. */
  readonly dnsCapture: boolean;
}

export type CaptureState = "enabled" | "pending" | "disabled";

export interface PodReport {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly state: CaptureState;
  /** What is missing or went wrong; "" when all is well. */
  readonly message: string;
}
