/**
 * Where a ztunnel's pods come from: the control plane, and it captures them itself; or an istio-cni
 * agent (INPOD_UDS), which captures them and hands over their namespaces.
 */
import type { Registry } from "prom-client";
import type { ProxyState } from "#common/mesh-state/proxy-state.ts";
import type { CapturedPod, CaptureState, PodReport } from "#common/model/captured-pod.ts";
import type { ZdsWorkloadInfo } from "#common/model/zds.ts";
import { liveCounter, liveGauge } from "#common/telemetry/live-metrics.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import type { ListenerSink } from "./capture/listener-sink.ts";
import type { CallChannel } from "./cni/verdicts.ts";
import type { ZtunnelConfig } from "./config.ts";
import { workloadUidOf } from "./local-xds/load-local-xds.ts";
import { createOwnCapture } from "./own-capture.ts";
import { createLinuxSyscalls } from "./sys/linux.ts";
import { ZdsClient } from "./zds/zds-client.ts";
import { type ZdsPodCounters, ZdsPods } from "./zds/zds-pods.ts";

export interface PodSource {
  /** What the control plane says, where that is who says it. */
  apply(upserts: readonly CapturedPod[], removedUids: readonly string[]): void;
  pods(): Iterable<{ readonly pod: CapturedPod; readonly state: CaptureState }>;
  /** What keeps this node from being ready, for people; empty when nothing does. */
  pending(): readonly string[];
  /** Follows the source until the signal aborts; never rejects. */
  run(signal: AbortSignal): Promise<void>;
  /** Before the end: lets all pods go where the mesh leaves this node for good. Never rejects. */
  depart(): Promise<void>;
  /** After `run` has ended: changes nothing any more. */
  stop(): Promise<void>;
  /** Lets the pods' namespaces go, which connections need until they are over. */
  close(): Promise<void>;
}

export interface PodSourceDeps {
  readonly sink: ListenerSink;
  readonly workers: number;
  readonly registry: Registry;
  readonly logger: Logger;
  /** What became of pods that this process captures itself. */
  readonly report: (changes: readonly PodReport[]) => void;
  readonly state: Pick<ProxyState, "workloads">;
  /** The pods as they are to be captured. */
  readonly prepare: (pods: readonly CapturedPod[]) => readonly CapturedPod[];
  /** To istiod-lite; undefined where there is none. */
  readonly channel: () => CallChannel | undefined;
}

export function createPodSource(config: ZtunnelConfig, deps: PodSourceDeps): PodSource {
  const { inpodSocket } = config;
  if (inpodSocket === undefined) return createOwnCapture(config, deps);
  return zdsSource(inpodSocket, config, deps);
}

/** istiod's form, unless a local file names the workload another way. */
function workloadUid(
  { localXds, clusterId }: ZtunnelConfig,
  state: PodSourceDeps["state"],
  info: ZdsWorkloadInfo,
): string {
  const local = localXds && workloadUidOf(state.workloads(), info);
  return local ?? `${clusterId}//Pod/${info.namespace}/${info.name}`;
}

function zdsSource(path: string, config: ZtunnelConfig, deps: PodSourceDeps): PodSource {
  const log = deps.logger.scope("inpod");
  const sys = createLinuxSyscalls(config.tuning.keepalive);
  const uidOf = (info: ZdsWorkloadInfo) => workloadUid(config, deps.state, info);
  const pods = new ZdsPods({ ...deps, sys, log, workloadUid: uidOf });
  const client = new ZdsClient({ path, pods, log });
  registerZdsMetrics(deps.registry, pods);
  return {
    apply: () => undefined,
    pods: () => pods.pods(),
    pending: () => (pods.isSettled() ? [] : [`the pods of the CNI agent at ${path}`]),
    run: (signal) => client.run(signal),
    depart: () => Promise.resolve(),
    stop: () => pods.stop(),
    close: () => pods.close(),
  };
}

/** Source of the names: istio/ztunnel src/inpod/metrics.rs. */
function registerZdsMetrics(registry: Registry, pods: ZdsPods): void {
  const count = (name: keyof ZdsPodCounters) => () => pods.counters()[name];
  const prefix = "workload_manager";
  liveGauge(registry, `${prefix}_active_proxy_count`, "Pods that are served", count("active"));
  liveGauge(
    registry,
    `${prefix}_pending_proxy_count`,
    "Pods that are not served yet",
    count("pending"),
  );
  liveCounter(registry, `${prefix}_proxies_started_total`, "Pods taken on", count("started"));
  liveCounter(registry, `${prefix}_proxies_stopped_total`, "Pods let go", count("stopped"));
}
