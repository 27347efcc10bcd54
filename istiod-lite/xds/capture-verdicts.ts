/**
 * Whether pods whose sandboxes are being made are to be captured. A container runtime is quicker
 * than a watch at times: then the answer waits until the pod is known here.
 */
import { type ServerUnaryCall, type sendUnaryData, status } from "@grpc/grpc-js";
import type { CaptureVerdict, SandboxedPod } from "#common/model/captured-pod.ts";
import { VERDICT_WAIT_MS, VERDICT_WAITERS } from "../limits.ts";
import type { Registry } from "../registry/registry.ts";
import { type NodeCallDeps, nodeCallerOf } from "./node-call.ts";

export interface CaptureVerdictsDeps extends NodeCallDeps {
  readonly registry: Pick<Registry, "captureVerdict">;
  /** @default VERDICT_WAIT_MS */
  readonly waitMs?: number;
}

export class CaptureVerdicts {
  readonly #deps: CaptureVerdictsDeps;
  readonly #waiting = new Set<() => void>();

  constructor(deps: CaptureVerdictsDeps) {
    this.#deps = deps;
  }

  /** For `server.addService(CaptureService, …)`. */
  readonly implementation = {
    verdict: (
      call: ServerUnaryCall<SandboxedPod, CaptureVerdict>,
      callback: sendUnaryData<CaptureVerdict>,
    ): void => void this.#answer(call, callback),
  };

  /** To be called after each change of the registry. */
  registryChanged(): void {
    for (const look of this.#waiting) look();
  }

  async #answer(
    call: ServerUnaryCall<SandboxedPod, CaptureVerdict>,
    callback: sendUnaryData<CaptureVerdict>,
  ): Promise<void> {
    const { request, metadata } = call;
    const { refusal } = await nodeCallerOf(this.#deps, metadata, request.node);
    if (refusal !== undefined) return callback(refusal);
    const verdict = this.#deps.registry.captureVerdict(request) ?? (await this.#wait(call));
    if (verdict !== undefined) return callback(null, verdict);
    const { namespace, name, node } = request;
    const details = `pod ${namespace}/${name} is not known yet on node ${node}`;
    callback({ code: status.UNAVAILABLE, details });
  }

  /** Undefined where the pod does not come in time, or too many wait. */
  #wait(call: ServerUnaryCall<SandboxedPod, CaptureVerdict>): Promise<CaptureVerdict | undefined> {
    const { registry, waitMs = VERDICT_WAIT_MS } = this.#deps;
    if (this.#waiting.size >= VERDICT_WAITERS) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const end = (verdict?: CaptureVerdict): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(verdict);
      };
      const look = (): void => {
        const verdict = registry.captureVerdict(call.request);
        if (verdict !== undefined) end(verdict);
      };
      const timer = setTimeout(end, waitMs);
      this.#waiting.add(look);
      call.once("cancelled", () => end());
    });
  }
}
