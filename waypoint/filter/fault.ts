/** Faults on purpose: requests that wait, and requests that fail. */
import type { Route } from "../route/route.ts";
import type { LocalReply, RequestContext, StageResult } from "./stage.ts";

export interface FaultDependencies {
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Resolves after that time, or at once when the signal is aborted; never rejects. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

/** Among the context's notes: the request was delayed. Envoy's flag for it is DI. */
export const DELAYED = "fault-delay";

/** The delay first, then the abort; each hits its own share of the requests. */
export function injectFault(
  context: RequestContext,
  { rule }: Route,
  { random, sleep }: FaultDependencies,
): StageResult | Promise<StageResult> {
  const { fault } = rule;
  if (fault === undefined) return undefined;
  const { delay, abort } = fault;
  const delayed = delay !== undefined && hits(delay.percent, random);
  const reply = abort !== undefined && hits(abort.percent, random) ? aborted(abort) : undefined;
  if (!delayed) return reply;
  context.notes.push(DELAYED);
  return sleep(delay.milliseconds, context.signal).then(() => reply);
}

function hits(percent: number, random: () => number): boolean {
  return percent >= 100 || random() * 100 < percent;
}

function aborted(abort: { readonly status: number; readonly grpcStatus?: number }): LocalReply {
  const { status, grpcStatus } = abort;
  const reply = { status, reason: "fault-abort", body: "fault filter abort" } as const;
  return grpcStatus === undefined ? reply : { ...reply, grpcStatus };
}
