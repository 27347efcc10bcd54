/** Asks istiod-lite whether a pod is to be captured, until it says or the time is up. */
import { setTimeout as sleep } from "node:timers/promises";
import type { CaptureVerdict, SandboxedPod } from "#common/model/captured-pod.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { type Departure, departure, verdict } from "#common/xds/capture-rpc.ts";
import type { ControlPlaneChannel } from "#common/xds/control-plane-channel.ts";
import { VERDICT_DEADLINE_MS, VERDICT_RETRY_MS, VERDICT_TIMEOUT_MS } from "./limits.ts";

export type CallChannel = Pick<ControlPlaneChannel, "client" | "metadata">;

/** Throws MeshError NO_VERDICT. */
export async function askVerdict(
  channel: CallChannel,
  pod: SandboxedPod,
  deadlineMs = VERDICT_DEADLINE_MS,
): Promise<CaptureVerdict> {
  const endsAt = performance.now() + deadlineMs;
  for (;;) {
    try {
      return await call(channel, verdict, pod, VERDICT_TIMEOUT_MS);
    } catch (cause) {
      if (performance.now() + VERDICT_RETRY_MS >= endsAt) throw noVerdict(cause);
      await sleep(VERDICT_RETRY_MS);
    }
  }
}

/** Whether no other ztunnel follows on this node. Throws what the call threw. */
export async function askDeparture(
  channel: CallChannel,
  node: string,
  timeoutMs: number,
): Promise<boolean> {
  const answer: Departure = await call(channel, departure, { node }, timeoutMs);
  return answer.forGood;
}

async function call<Request, Response>(
  channel: CallChannel,
  method: {
    readonly path: string;
    readonly requestSerialize: (request: Request) => Buffer;
    readonly responseDeserialize: (bytes: Buffer) => Response;
  },
  request: Request,
  timeoutMs: number,
): Promise<Response> {
  const [client, metadata] = await Promise.all([channel.client(), channel.metadata()]);
  const { path, requestSerialize, responseDeserialize } = method;
  const options = { deadline: Date.now() + timeoutMs };
  return new Promise((resolve, reject) => {
    const answer = (error: Error | null, value?: Response): void => {
      if (value !== undefined) resolve(value);
      else reject(error ?? new MeshError("NO_ANSWER", `${path} gave no answer`));
    };
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      options,
      answer,
    );
  });
}

function noVerdict(cause: unknown): MeshError {
  const message = `istiod does not say whether the pod is to be captured: ${describeError(cause)}`;
  return new MeshError("NO_VERDICT", message, {
    cause,
    hint: "see whether istiod runs: kubectl -n istio-system get pods -l app=istiod",
  });
}
