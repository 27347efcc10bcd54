/**
 * Pods that this ztunnel captures itself: those that istiod-lite names, and those whose sandboxes
 * the CNI plugin tells of before anybody else knows their addresses.
 */
import type { CapturedPod } from "#common/model/captured-pod.ts";
import type { CaptureManager } from "./capture/capture-manager.ts";
import { createCapture } from "./capture-wiring.ts";
import { CniAgent } from "./cni/cni-agent.ts";
import { recordsDirOf, SandboxRecords } from "./cni/sandbox-records.ts";
import type { CallChannel } from "./cni/verdicts.ts";
import type { ZtunnelConfig } from "./config.ts";
import type { PodSource, PodSourceDeps } from "./pod-source.ts";
import { warnOfStockIstiod } from "./stock-istiod-warning.ts";

export function createOwnCapture(config: ZtunnelConfig, deps: PodSourceDeps): PodSource {
  const { cni } = config;
  const logger = deps.logger.scope("capture");
  const records = cni && new SandboxRecords(recordsDirOf(cni.socketPath), cni.nodeRoot);
  const sandboxes = records === undefined ? {} : { sandboxes: records };
  const capture = createCapture(config, { ...deps, ...sandboxes, logger });
  const source = new OwnCapture(capture, deps);
  const channel = deps.channel();
  if (channel !== undefined) source.watch(channel, config.nodeName);
  if (cni === undefined || records === undefined || channel === undefined) return source;
  source.serve(
    new CniAgent({
      ...cni,
      node: config.nodeName,
      channel,
      records,
      capture: source,
      isReady: () => capture.isSettled(),
      onUninstall: () => void source.leave(),
      log: deps.logger.scope("cni"),
    }),
  );
  return source;
}

class OwnCapture implements PodSource {
  readonly #capture: CaptureManager;
  readonly #deps: PodSourceDeps;
  /** Those that istiod-lite names; it says when they are no longer wanted. */
  readonly #named = new Set<string>();
  #agent: CniAgent | undefined;
  #watch: ((signal: AbortSignal) => Promise<void>) | undefined;
  #left: Promise<void> | undefined;

  constructor(capture: CaptureManager, deps: PodSourceDeps) {
    this.#capture = capture;
    this.#deps = deps;
  }

  /** Says so where this istiod is one that names no pods. */
  watch(channel: CallChannel, node: string): void {
    const deps = { channel, node, hasPods: () => this.#named.size > 0, log: this.#deps.logger };
    this.#watch = (signal) => warnOfStockIstiod(deps, signal);
  }

  serve(agent: CniAgent): void {
    this.#agent = agent;
    if (agent.isUninstalled) void this.leave();
  }

  apply(upserts: readonly CapturedPod[], removedUids: readonly string[]): void {
    for (const { uid } of upserts) this.#named.add(uid);
    for (const uid of removedUids) this.#named.delete(uid);
    if (this.#left !== undefined) return;
    this.#capture.apply(this.#deps.prepare(upserts), removedUids);
    this.#capture.setSnapshotComplete();
  }

  pods(): ReturnType<PodSource["pods"]> {
    return this.#capture.pods();
  }

  pending(): readonly string[] {
    if (this.#left !== undefined || this.#capture.isSettled()) return [];
    return ["capture of this node's pods"];
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#agent?.run(signal), this.#watch?.(signal)]);
  }

  async depart(): Promise<void> {
    if (this.#left === undefined && !(await this.#agent?.isLeavingForGood())) return;
    await this.leave();
  }

  /** Takes the mesh off the node: first the plugin, so that no further pod is captured. */
  leave(): Promise<void> {
    this.#left ??= (async () => {
      this.#deps.logger.info("the mesh leaves this node: its pods are let go");
      this.#agent?.uninstall();
      await this.#capture.leave();
      this.#agent?.forgetSandboxes();
    })();
    return this.#left;
  }

  stop(): Promise<void> {
    return this.#capture.stop();
  }

  close(): Promise<void> {
    return this.#capture.close();
  }

  async capture(pod: CapturedPod, signal: AbortSignal): Promise<string> {
    const [prepared = pod] = this.#deps.prepare([pod]);
    return this.#capture.capture(prepared, signal);
  }

  forget(podUid: string): void {
    if (!this.#named.has(podUid)) this.#capture.apply([], [podUid]);
  }
}
