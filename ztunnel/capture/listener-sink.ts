/**
 * What capture needs from others: someone to serve the sockets, and the node's probes let through.
 */
import type { CapturedPod } from "#common/model/captured-pod.ts";
import type { IpAddress } from "#common/model/ip.ts";
import type { Netns } from "#ztunnel/sys/syscalls.ts";

/** Listening descriptors inside a pod's namespace, one per data worker in each list. */
export interface PodListeners {
  readonly outbound: number[];
  readonly inboundPlaintext: number[];
  readonly hbone: number[];
}

/** The proxy, as capture sees it. */
export interface ListenerSink {
  /**
   * Starts to serve a pod. The descriptors are the sink's from this call on, even if it rejects;
   * the namespace stays open until `remove` has resolved. A pod that is served in this very
   * namespace gets these listeners in place of those it has, and keeps its connections.
   */
  add(pod: CapturedPod, netns: Netns, listeners: PodListeners): Promise<void>;
  /**
   * Stops, and closes the listeners. Resolves also for a pod that was never, or only half, added.
   */
  remove(podUid: string): Promise<void>;
}

/** Lets the node's own connections (kubelet probes) to captured pods be told from others. */
export interface ProbeAdmission {
  /** Resolves when probes of these addresses are let through; repeated calls are cheap. */
  admit(podUid: string, ips: readonly IpAddress[]): Promise<void>;
  withdraw(podUid: string): Promise<void>;
}
