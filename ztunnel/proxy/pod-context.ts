/** What every connection of one captured pod works with. */

import type { ProxyState } from "#common/mesh-state/proxy-state.ts";
import type { CapturedPod } from "#common/model/captured-pod.ts";
import type { TrustDomains } from "#common/model/identity.ts";
import type { CertificateStore } from "#common/transport/certificate-store.ts";
import type { FlushBatcher } from "#common/transport/flush-batcher.ts";
import type { PeerWatch } from "#common/transport/peer-watch.ts";
import type { StalledStreams } from "#common/transport/stalled-streams.ts";
import type { Netns } from "#ztunnel/sys/syscalls.ts";
import type { Tuning } from "#ztunnel/tuning.ts";
import type { Capacity } from "./capacity.ts";
import type { ConnectionTracker } from "./connection-tracker.ts";
import type { Dialer } from "./dial.ts";
import type { HostResolver } from "./host-resolver.ts";
import type { LookUps } from "./look-ups.ts";
import type { LocalPods } from "./same-node.ts";
import type { StateWaiter } from "./state-waiter.ts";
import type { TcpContext } from "./tcp-end.ts";

/** Shared by all pods of one data worker. */
export interface WorkerContext {
  readonly state: ProxyState;
  readonly waiter: StateWaiter;
  /** Undefined where all of the mesh is known (XDS_ON_DEMAND is off). */
  readonly lookUps: LookUps | undefined;
  readonly certificates: CertificateStore;
  /** Everybody who is connected by mutual TLS. */
  readonly peers: PeerWatch;
  readonly dialer: Dialer;
  /** The addresses of endpoints that have a host name instead. */
  readonly hosts: HostResolver;
  readonly tcp: TcpContext;
  readonly batcher: FlushBatcher;
  /** HBONE streams that nobody reads. */
  readonly stalled: StalledStreams;
  /** Whether one more connection is taken. */
  readonly capacity: Capacity;
  readonly tracker: ConnectionTracker;
  /** The mesh's own trust domain and its aliases: peers of another are refused. */
  readonly trustDomains: TrustDomains;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly tuning: Tuning;
  /** Whether applications see their client's address (ENABLE_ORIG_SRC). */
  readonly keepSourceAddress: boolean;
  /** The pods that are reached without a tunnel; undefined where that is turned off. */
  readonly localPods: LocalPods | undefined;
}

export interface PodContext extends WorkerContext {
  readonly pod: CapturedPod;
  readonly netns: Netns;
}
