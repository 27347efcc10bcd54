/** What is answered where there is no connection to an upstream. */
import type { Endpoint, LeaseRefusal } from "./upstream.ts";

export function noHealthyUpstream(detail: string): LeaseRefusal {
  return { status: 503, reason: "no-healthy-upstream", body: "no healthy upstream", detail };
}

/** `detail`: which bound of the backend it was. */
export function overflow(detail: string): LeaseRefusal {
  return {
    status: 503,
    reason: "upstream-overflow",
    body: "upstream overflow: too much is under way to this service",
    headers: [["x-envoy-overloaded", "true"]],
    detail,
  };
}

export function connectFailure(detail: string, endpoint?: Endpoint): LeaseRefusal {
  return {
    status: 503,
    reason: "upstream-connect-failure",
    body: "upstream connect error or disconnect before headers",
    detail,
    ...(endpoint !== undefined && { endpoint }),
  };
}

/** Told to requests that wait for a connection to an endpoint which has gone meanwhile. */
export const ENDPOINT_GONE = connectFailure("the endpoint has gone");
