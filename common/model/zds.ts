/**
 * What a CNI agent and a ztunnel say to each other about the pods of their node (Istio's ZDS). The
 * agent sends requests, one at a time; ztunnel answers each with an Ack.
 */

export interface ZdsWorkloadInfo {
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

export type ZdsRequest =
  /** Proxy this pod; an open descriptor of its network namespace comes beside the message. */
  | { readonly kind: "add"; readonly uid: string; readonly info: ZdsWorkloadInfo }
  /**
   * The agent knows of this pod and has no descriptor at hand: a ztunnel that serves it goes on.
   */
  | { readonly kind: "keep"; readonly uid: string }
  | { readonly kind: "del"; readonly uid: string }
  /** Everything there is has been said: what was not mentioned is gone. */
  | { readonly kind: "snapshot-sent" };

/** The protocol's one version. */
export const ZDS_VERSION = 1;
