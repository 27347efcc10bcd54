/** The waypoint's own calls to services, over the connections that requests use. */
import { describeError } from "#common/runtime/errors.ts";
import type { CallService, ServiceCall } from "../filter/service-caller.ts";
import type { RequestContext } from "../filter/stage.ts";
import { collectResponse } from "./collect-response.ts";
import type { Upstreams } from "./upstream.ts";

export interface ServiceCallerDeps {
  readonly upstreams: Pick<Upstreams, "lease">;
  /** Milliseconds that only grow. */
  readonly now: () => number;
}

export function createServiceCaller({ upstreams, now }: ServiceCallerDeps): CallService {
  return async (call) => {
    const signal = AbortSignal.any([call.context.signal, AbortSignal.timeout(call.timeoutMs)]);
    const context = withSignal(call.context, signal);
    const { target: backend, protocol } = call;
    try {
      const lease = await upstreams.lease({ backend, context, protocol, exclude: NOBODY });
      if ("reason" in lease) return { failed: why(signal, call, lease.detail ?? lease.body) };
      const answer = await collectResponse(lease, call, { signal, now });
      return "failed" in answer ? { failed: why(signal, call, answer.failed) } : answer;
    } catch (error) {
      return { failed: describeError(error) };
    }
  };
}

const NOBODY: ReadonlySet<string> = new Set();

function why(signal: AbortSignal, call: ServiceCall, otherwise: string): string {
  if (call.context.signal.aborted) return "the client has gone";
  return signal.aborted ? `no answer within ${call.timeoutMs} ms` : otherwise;
}

/** The request as it is, but for when it ends. */
function withSignal(context: RequestContext, signal: AbortSignal): RequestContext {
  const { downstream, gateway, head, id, tokens, responseHeaders, notes } = context;
  return { downstream, gateway, head, id, tokens, responseHeaders, notes, signal };
}
