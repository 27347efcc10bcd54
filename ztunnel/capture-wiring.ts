/** Capture as ztunnel uses it: its sockets go to the data workers, its reports to istiod-lite. */
import { Counter, Gauge, type Registry } from "prom-client";
import type { Logger } from "#common/telemetry/logger.ts";
import { CaptureManager } from "./capture/capture-manager.ts";
import { HostProbes } from "./capture/host-probes.ts";
import type { ListenerSink } from "./capture/listener-sink.ts";
import { SandboxDirectoryFinder } from "./capture/pod-netns.ts";
import type { ZtunnelConfig } from "./config.ts";
import type { Enrolment } from "./enrolment.ts";
import type { DataWorkers } from "./proxy/data-workers.ts";
import { createLinuxSyscalls } from "./sys/linux.ts";

export interface CaptureWiringDeps {
  readonly workers: DataWorkers;
  readonly enrolment: Enrolment;
  readonly registry: Registry;
  readonly logger: Logger;
}

export function createCapture(config: ZtunnelConfig, deps: CaptureWiringDeps): CaptureManager {
  const sys = createLinuxSyscalls();
  const node = sys.openNetns("/proc/self/ns/net");
  const capture = new CaptureManager({
    sys,
    finder: new SandboxDirectoryFinder(sys, config.podSandboxesDir),
    sink: listenerSink(deps),
    probes: new HostProbes(sys, node),
    log: deps.logger,
    workers: deps.workers.count,
    report: (changes) => deps.enrolment.report(changes),
  });
  registerMetrics(deps.registry, capture);
  return capture;
}

function listenerSink({ workers, enrolment }: CaptureWiringDeps): ListenerSink {
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
  const gauge = (name: string, help: string, read: () => number): void => {
    const metric: Gauge = new Gauge({
      name,
      help,
      registers: [registry],
      collect: () => metric.set(read()),
    });
  };
  const counter = (name: string, help: string, read: () => number): void => {
    const metric: Counter = new Counter({
      name,
      help,
      registers: [registry],
      collect: () => {
        metric.reset();
        metric.inc(read());
      },
    });
  };
  gauge("workload_manager_active_proxy_count", "Captured pods", () => capture.counters().captured);
  gauge(
    "workload_manager_pending_proxy_count",
    "Pods that are to be captured and are not yet",
    () => capture.counters().pending,
  );
  counter(
    "ambient_capture_repairs_total",
    "Times that lost capture rules were put back",
    () => capture.counters().repairs,
  );
  counter(
    "ambient_capture_failures_total",
    "Attempts to capture a pod that failed",
    () => capture.counters().failures,
  );
}
