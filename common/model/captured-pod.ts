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

/** A pod that a container runtime makes a sandbox for. */
export interface SandboxedPod {
  readonly node: string;
  readonly namespace: string;
  readonly name: string;
  /** "" where the runtime does not tell. */
  readonly uid: string;
}

/** Whether it is to be captured; without addresses, which whoever asks knows better. */
export type CaptureVerdict =
  | { readonly kind: "enrolled"; readonly pod: CapturedPod }
  | { readonly kind: "not-enrolled"; readonly reason: string };

/**
 * `enabled`: rules and listeners are in place. `pending`: not yet. `failed`: not, and trying again
 * has not helped so far. `disabled`: no longer wanted, or the pod is gone.
 */
export type CaptureState = "enabled" | "pending" | "failed" | "disabled";

/** What of a capture was lost: label of `ambient_capture_repairs_total`. */
export const REPAIR_REASONS = [
  "rules-missing",
  "rules-changed",
  "policy-route",
  "listener-lost",
  "listener-taken",
  "namespace-replaced",
  "address-changed",
  "probe-rules",
] as const;
export type RepairReason = (typeof REPAIR_REASONS)[number];

export interface PodReport {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly state: CaptureState;
  /** What is missing, went wrong, or keeps going wrong; "" when all is well. */
  readonly message: string;
  /** Absent as long as nothing was lost. */
  readonly repairs?: PodRepairs;
}

/** Since the start of the reporting ztunnel. */
export interface PodRepairs {
  readonly count: number;
  /** What was found the last time, in words, its reason first: "rules-missing: the nftables …". */
  readonly last: string;
}

/**
 * Annotations of our own, beside Istio's `ambient.istio.io/redirection`: how often a pod's capture
 * was lost and put back, "2, last rules-missing: the nftables table … is gone"; and what is wrong
 * with it now, in words. Absent where there is nothing to say.
 */
export const CAPTURE_REPAIRS_ANNOTATION = "ambientmesh/capture-repairs";
export const CAPTURE_PROBLEM_ANNOTATION = "ambientmesh/capture-problem";
