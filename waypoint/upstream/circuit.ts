/** What is under way to one backend, and how much may be. */
import type { TrafficPolicy } from "#common/model/waypoint/backend.ts";
import {
  CONNECTIONS_PER_BACKEND,
  PENDING_PER_BACKEND,
  REQUESTS_PER_BACKEND,
  RETRIES_PER_BACKEND,
  RETRY_SHARE,
} from "./limits.ts";
import type { RetryPermit } from "./upstream.ts";

export type PoolPolicy = NonNullable<TrafficPolicy["connectionPool"]>;

export class Circuit {
  policy: PoolPolicy;
  /** Made or being made. */
  connections = 0;
  /** Requests that wait for a connection. */
  pending = 0;
  /** Requests with a connection. */
  requests = 0;
  retries = 0;

  constructor(policy: PoolPolicy) {
    this.policy = policy;
  }

  get mayConnect(): boolean {
    return this.connections < (this.policy.maxConnections ?? CONNECTIONS_PER_BACKEND);
  }

  get mayWait(): boolean {
    return this.pending < (this.policy.maxPendingRequests ?? PENDING_PER_BACKEND);
  }

  get mayRequest(): boolean {
    const most = this.policy.maxRequests ?? REQUESTS_PER_BACKEND;
    return this.requests + this.pending < most;
  }

  permitRetry(): RetryPermit | undefined {
    const number = this.policy.maxRetries ?? RETRIES_PER_BACKEND;
    const share = Math.floor((this.requests + this.pending) * RETRY_SHARE);
    if (this.retries >= Math.max(number, share)) return undefined;
    this.retries++;
    let released = false;
    return {
      release: () => {
        if (!released) this.retries--;
        released = true;
      },
    };
  }
}
