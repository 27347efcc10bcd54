/**
 * Where a ztunnel's pods come from: the control plane, and it captures them itself; or an istio-cni
 * agent (INPOD_UDS), which captures them and hands over their namespaces.
 */
import type { Registry } from "prom-client";
import type { ProxyState } from "#common/mesh-state/proxy-state.ts";
import type { CapturedPod, CaptureState, PodReport } from "#common/model/captured-pod.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import type { ListenerSink } from "./capture/listener-sink.ts";
import type { CallChannel } from "./cni/verdicts.ts";
import type { PodProcesses } from "./node/pod-processes.ts";

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
  readonly processes: PodProcesses;
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
