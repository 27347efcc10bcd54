/**
 * Which endpoints are left out for a while because they keep failing. Pure: the time comes in.
 * Source: Envoy's outlier detection. Beyond it: an endpoint that comes back gets one request at a
 * time until one succeeds, and is left out again at the first that fails.
 */
import type { TrafficPolicy } from "#common/model/waypoint/backend.ts";
import { MAX_EJECTION_MS } from "./limits.ts";
import type { AttemptOutcome } from "./upstream.ts";

export type OutlierPolicy = NonNullable<TrafficPolicy["outlierDetection"]>;

/** The health of one endpoint, as its responses show it. */
export class EndpointHealth {
  state: "in" | "ejected" | "half-open" = "in";
  /** Milliseconds of the clock that comes in; of an ejected endpoint. */
  ejectedUntil = 0;
  /** How often in a row, which says how long. */
  ejections = 0;
  /** A request that tries a half-open endpoint is under way. */
  trying = false;
  serverErrors = 0;
  gatewayErrors = 0;
  localFailures = 0;
}

export class OutlierDetector {
  readonly #policy: OutlierPolicy;
  #nextSweep: number;
  #ejected = 0;

  constructor(policy: OutlierPolicy, now: number) {
    this.#policy = policy;
    this.#nextSweep = now + policy.intervalMs;
  }

  /** Takes in what became of a request. True: which endpoints are in has changed. */
  note(
    health: EndpointHealth,
    outcome: AttemptOutcome,
    pool: { readonly size: number; readonly now: number },
  ): boolean {
    if (outcome.kind === "unused") {
      health.trying = false;
      return false;
    }
    const over = count(health, outcome, this.#policy);
    if (health.state === "half-open") return this.#judge(health, outcome, pool.now);
    if (!over || health.state === "ejected" || !this.#mayEject(pool.size)) return false;
    this.#eject(health, pool.now);
    return true;
  }

  /** Lets those in whose time is over. True: which endpoints are in has changed. */
  sweep(all: Iterable<EndpointHealth>, now: number): boolean {
    if (now < this.#nextSweep) return false;
    this.#nextSweep = now + this.#policy.intervalMs;
    let changed = false;
    let ejected = 0;
    for (const health of all) {
      if (health.state === "ejected" && health.ejectedUntil <= now) {
        health.state = "half-open";
        health.trying = false;
        changed = true;
      } else if (health.state === "ejected") ejected++;
      else if (health.state === "in") health.ejections = Math.max(0, health.ejections - 1);
    }
    this.#ejected = ejected;
    return changed;
  }

  #judge(health: EndpointHealth, outcome: AttemptOutcome, now: number): boolean {
    health.trying = false;
    if (failed(outcome)) this.#eject(health, now);
    else health.state = "in";
    return true;
  }

  #eject(health: EndpointHealth, now: number): void {
    health.state = "ejected";
    health.ejections++;
    const { baseEjectionMs } = this.#policy;
    const longest = Math.max(MAX_EJECTION_MS, baseEjectionMs);
    health.ejectedUntil = now + Math.min(baseEjectionMs * health.ejections, longest);
    health.serverErrors = 0;
    health.gatewayErrors = 0;
    health.localFailures = 0;
    this.#ejected++;
  }

  /** Within the share that may be out; one of several may always be, if any may. */
  #mayEject(size: number): boolean {
    const { maxEjectionPercent } = this.#policy;
    if (maxEjectionPercent === 0) return false;
    if (this.#ejected === 0 && size > 1) return true;
    return ((this.#ejected + 1) * 100) / size <= maxEjectionPercent;
  }
}

/** Whether so few are in that all are used. */
export function isPanic(policy: OutlierPolicy, inside: number, size: number): boolean {
  return size > 0 && (inside * 100) / size < policy.minHealthPercent;
}

function failed(outcome: AttemptOutcome): boolean {
  return outcome.kind === "local-failure" || (outcome.kind === "response" && outcome.status >= 500);
}

/** Counts in a row; true where one of the counts has reached what the policy says. */
function count(health: EndpointHealth, outcome: AttemptOutcome, policy: OutlierPolicy): boolean {
  const local = outcome.kind === "local-failure";
  const apart = policy.splitLocalOriginErrors;
  if (apart) health.localFailures = local ? health.localFailures + 1 : 0;
  if (!local || !apart) {
    // A failure of our own is a gateway's error, where it is not counted apart.
    const status = outcome.kind === "response" ? outcome.status : 503;
    const gateway = status >= 502 && status <= 504;
    health.serverErrors = status >= 500 ? health.serverErrors + 1 : 0;
    health.gatewayErrors = gateway ? health.gatewayErrors + 1 : 0;
  }
  return (
    reached(health.serverErrors, policy.consecutive5xx) ||
    reached(health.gatewayErrors, policy.consecutiveGatewayErrors) ||
    reached(health.localFailures, policy.consecutiveLocalOriginFailures)
  );
}

/** 0 is never reached. */
function reached(value: number, limit: number): boolean {
  return limit > 0 && value >= limit;
}
