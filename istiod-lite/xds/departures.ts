/** Tells a ztunnel that ends whether another follows, or the mesh leaves its node for good. */
import type { ServerUnaryCall, sendUnaryData } from "@grpc/grpc-js";
import { describeError } from "#common/runtime/errors.ts";
import type { Departure } from "#common/xds/capture-rpc.ts";
import { type NodeCallDeps, nodeCallerOf } from "./node-call.ts";

export interface DeparturesDeps extends NodeCallDeps {
  /** Whether the ztunnels of all nodes are being removed, this one (of a pod by this name) too. */
  readonly areZtunnelsRemoved: (podName: string) => Promise<boolean>;
}

export class Departures {
  readonly #deps: DeparturesDeps;

  constructor(deps: DeparturesDeps) {
    this.#deps = deps;
  }

  /** For `server.addService(CaptureService, …)`. */
  readonly implementation = {
    departure: (
      call: ServerUnaryCall<{ readonly node: string }, Departure>,
      callback: sendUnaryData<Departure>,
    ): void => void this.#answer(call, callback),
  };

  async #answer(
    { request, metadata }: ServerUnaryCall<{ readonly node: string }, Departure>,
    callback: sendUnaryData<Departure>,
  ): Promise<void> {
    const { caller, refusal } = await nodeCallerOf(this.#deps, metadata, request.node);
    if (refusal !== undefined) return callback(refusal);
    callback(null, { forGood: await this.#isForGood(caller.podName ?? "") });
  }

  /** What is not known for certain opens nothing. */
  async #isForGood(podName: string): Promise<boolean> {
    const { areZtunnelsRemoved, logger } = this.#deps;
    try {
      return await areZtunnelsRemoved(podName);
    } catch (error) {
      logger.warn("cannot see whether ztunnel is being removed", { why: describeError(error) });
      return false;
    }
  }
}
