/** What the DNS proxy of one pod works with. */

import type { ProxyState } from "#common/mesh-state/proxy-state.ts";
import type { CapturedPod } from "#common/model/captured-pod.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";
import type { DnsMetrics } from "./dns-metrics.ts";
import type { NodeQueries, PodQueries } from "./in-flight.ts";
import type { LookUpOptions } from "./look-up.ts";
import type { PodResolver } from "./pod-resolver.ts";

/** Shared by all pods of the node. */
export interface DnsContext {
  readonly state: ProxyState;
  readonly syscalls: Syscalls;
  readonly metrics: DnsMetrics;
  readonly queries: NodeQueries;
  readonly options: LookUpOptions;
  /** This node's network; "" is the default network. */
  readonly network: string;
  /**
   * Resolves when the control plane has said once what the mesh knows. Before that a mesh name
   * would be taken for a foreign one; `isSynced` then spares the wait.
   */
  readonly synced: Promise<void>;
  readonly isSynced: () => boolean;
  /** Finds a pod's resolv.conf, as this process sees it; undefined where it cannot. */
  readonly locateResolvConf: (pod: CapturedPod) => Promise<string | undefined>;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface PodDnsContext extends Omit<DnsContext, "queries"> {
  readonly pod: CapturedPod;
  readonly netns: Netns;
  readonly queries: PodQueries;
  readonly resolver: PodResolver;
}
