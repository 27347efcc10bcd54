/** Who calls istiod-lite. */

/** Whose pods are ztunnels. Source: Istio's chart, pilot.trustedZtunnelName. */
export const ZTUNNEL_ACCOUNT = "ztunnel";

/** A proven caller: the pod that a token is bound to. */
export interface Caller {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** The pod's node; absent in tokens of old API servers. */
  readonly node?: string;
  readonly podName?: string;
  readonly podUid?: string;
}
