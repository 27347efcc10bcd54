/** Capture as its users assemble it: whose sockets they are, and who hears what becomes of it. */
import type { Registry } from "prom-client";
import type { PodReport } from "#common/model/captured-pod.ts";
import { liveCounter, liveCounterBy, liveGauge } from "#common/telemetry/live-metrics.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { CaptureManager } from "./capture/capture-manager.ts";
import { HostProbes } from "./capture/host-probes.ts";
import type { ListenerSink } from "./capture/listener-sink.ts";
import type { ZtunnelConfig } from "./config.ts";
import type { Enrolment } from "./enrolment.ts";
import type { PodProcesses } from "./node/pod-processes.ts";
import type { KnownSandboxes } from "./node/process-netns-finder.ts";
import { createNodeAccess } from "./node-access.ts";
import type { DataWorkers } from "./proxy/data-workers.ts";
import { createLinuxSyscalls } from "./sys/linux.ts";
import { createNetlink } from "./sys/netlink.ts";

export interface CaptureWiringDeps {
  readonly sink: ListenerSink;
  /** Listeners made for each port of a pod; 0 for none, where somebody else makes them. */
  readonly workers: number;
  readonly report: (changes: readonly PodReport[]) => void;
  readonly registry: Registry;
  readonly logger: Logger;
  /** One walk through /proc serves all who look for pods. */
  readonly processes: PodProcesses;
  /** What a CNI plugin tells of sandboxes, where there is one. */
  readonly sandboxes?: KnownSandboxes;
}

export function createCapture(
  config: Pick<ZtunnelConfig, "podSandboxesDir" | "nodeNetns" | "tuning">,
  deps: CaptureWiringDeps,
): CaptureManager {
  const sys = createLinuxSyscalls(config.tuning.keepalive);
  const { node, finder } = createNodeAccess(config, { ...deps, sys });
  const capture = new CaptureManager({
    sys,
    netlink: createNetlink(),
    finder,
    sink: deps.sink,
    probes: new HostProbes(sys, node),
    log: deps.logger,
    workers: deps.workers,
    report: deps.report,
  });
  registerMetrics(deps.registry, capture);
  return capture;
}

/** Hands pods to the data workers, and keeps their certificates as long as they are there. */
export function workersSink(
  workers: Pick<DataWorkers, "addPod" | "removePod">,
  enrolment: Pick<Enrolment, "add" | "remove">,
): ListenerSink {
  return {
    add: async (pod, netns, listeners) => {
      enrolment.add(pod);
      await workers.addPod(pod, netns, listeners);
    },
    remove: async (podUid) => {
      await workers.removePod(podUid);
      enrolment.remove(podUid);
    },
  };
}

/** Names are Istio's (istio/ztunnel src/inpod/metrics.rs) where Istio counts the same thing. */
function registerMetrics(registry: Registry, capture: CaptureManager): void {
  const counters = () => capture.counters();
  liveGauge(
    registry,
    "workload_manager_active_proxy_count",
    "Captured pods",
    () => counters().captured,
  );
  liveGauge(
    registry,
    "workload_manager_pending_proxy_count",
    "Pods that are to be captured and are not yet",
    () => counters().pending,
  );
  liveCounterBy(
    registry,
    "ambient_capture_repairs_total",
    "Times that something of a capture was lost and put back, by what it was",
    "reason",
    () => counters().repairs,
  );
  liveCounter(
    registry,
    "ambient_capture_ended_connections_total",
    "Connections ended because they were opened while a pod's capture was lost",
    () => counters().endedConnections,
  );
  liveCounter(
    registry,
    "ambient_capture_failures_total",
    "Attempts to capture a pod that failed",
    () => counters().failures,
  );
}
