/**
 * Rate limits: token buckets of this proxy, then a service that counts for all proxies together. A
 * request takes from all buckets or, where one is empty, from none.
 */
import type { RateLimit } from "#common/model/waypoint/policy.ts";
import type { CallService } from "../service-caller.ts";
import type { LocalReply, RequestContext, Stage } from "../stage.ts";
import { descriptorValues, isLimited, isOfRoute } from "./descriptors.ts";
import { askGlobal } from "./global-limit.ts";
import { type LimitStanding, nearest, writeLimitHeaders } from "./limit-headers.ts";
import { rateLimited } from "./replies.ts";
import { type BucketRate, TokenBuckets } from "./token-buckets.ts";

export interface RateLimitDeps {
  readonly call: CallService;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

export function createRateLimitStage({ call, now }: RateLimitDeps): Stage {
  const buckets = new TokenBuckets(now);
  return (context) => {
    const { gateway, downstream } = context;
    const first = gateway.policies.rateLimits;
    const second = downstream.service?.policies.rateLimits ?? NONE;
    if (first.length === 0 && second.length === 0) return undefined;
    const limits = [...limitsOf(first, context), ...limitsOf(second, context, first)];
    const local = takeLocal(limits, context, buckets);
    if (local.refused !== undefined) return local.refused;
    const global = limits.filter((limit) => limit.global !== undefined);
    if (global.length > 0) return takeGlobal(global, context, { call, standing: local.standing });
    if (local.standing !== undefined) writeLimitHeaders(context.responseHeaders, local.standing);
    return undefined;
  };
}

const NONE: readonly RateLimit[] = [];

/** Those that are about the request. A limit that is attached at both places counts it once. */
function limitsOf(
  limits: readonly RateLimit[],
  context: RequestContext,
  others = NONE,
): readonly RateLimit[] {
  if (limits.length === 0) return NONE;
  const isRouted = limits.some(({ routes }) => routes !== undefined);
  const rule = isRouted ? context.routeOrigin?.() : undefined;
  return limits.filter(
    (limit) =>
      (limit.routes === undefined || isOfRoute(limit.routes, rule)) &&
      !others.some(({ key }) => key === limit.key) &&
      isLimited(limit, context),
  );
}

interface LocalOutcome {
  readonly refused?: LocalReply;
  readonly standing?: LimitStanding | undefined;
}

interface Taken {
  readonly limit: RateLimit;
  readonly rate: BucketRate;
  readonly key: string;
}

function takeLocal(
  limits: readonly RateLimit[],
  context: RequestContext,
  buckets: TokenBuckets,
): LocalOutcome {
  const taken = limits.flatMap((limit): Taken[] => {
    const { local: rate } = limit;
    if (rate === undefined) return [];
    const key = [limit.key, ...descriptorValues(limit, context)].join("\0");
    return [{ limit, rate, key }];
  });
  for (const { limit, rate, key } of taken) {
    const tokens = buckets.available(key, rate);
    if (tokens >= 1) continue;
    writeLimitHeaders(context.responseHeaders, standingOf(rate, tokens));
    const waitSeconds = Math.ceil((((1 - tokens) / rate.requests) * rate.perMs) / 1000);
    return { refused: rateLimited(limit.key, waitSeconds) };
  }
  let standing: LimitStanding | undefined;
  for (const { rate, key } of taken) {
    buckets.take(key, rate);
    standing = nearest(standing, standingOf(rate, buckets.available(key, rate)));
  }
  return { standing };
}

function standingOf({ requests, perMs, burst }: BucketRate, tokens: number): LimitStanding {
  return {
    limit: burst,
    windowSeconds: Math.ceil(((burst / requests) * perMs) / 1000),
    remaining: Math.max(0, Math.floor(tokens)),
    resetSeconds: Math.ceil((((burst - tokens) / requests) * perMs) / 1000),
  };
}

async function takeGlobal(
  limits: readonly RateLimit[],
  context: RequestContext,
  { call, standing: local }: { call: CallService; standing: LimitStanding | undefined },
): Promise<LocalReply | undefined> {
  let standing = local;
  for (const limit of limits) {
    const outcome = await askGlobal(limit, context, call);
    standing = nearest(standing, outcome.standing);
    if (outcome.refused === undefined) continue;
    if (outcome.standing !== undefined) {
      writeLimitHeaders(context.responseHeaders, outcome.standing);
    }
    return outcome.refused;
  }
  if (standing !== undefined) writeLimitHeaders(context.responseHeaders, standing);
  return undefined;
}
