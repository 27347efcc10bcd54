/** The source of a ztunnel's pods, as its configuration says: see pod-source.ts. */
import type { Registry } from "prom-client";
import type { ZdsWorkloadInfo } from "#common/model/zds.ts";
import { liveCounter, liveGauge } from "#common/telemetry/live-metrics.ts";
import type { ZtunnelConfig } from "./config.ts";
import { workloadUidOf } from "./local-xds/load-local-xds.ts";
import { createOwnCapture } from "./own-capture.ts";
import type { PodSource, PodSourceDeps } from "./pod-source.ts";
import { createLinuxSyscalls } from "./sys/linux.ts";
import { ZdsClient } from "./zds/zds-client.ts";
import { type ZdsPodCounters, ZdsPods } from "./zds/zds-pods.ts";

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
