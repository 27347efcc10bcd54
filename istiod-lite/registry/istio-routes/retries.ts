/** A VirtualService's retries in the form in which a waypoint gets them. */
import type { IstioRetries } from "#common/kubernetes/istio-route-objects.ts";
import { RETRY_CONDITIONS, type Retry } from "#common/model/waypoint/http-route.ts";
import { durationMs } from "./http-actions.ts";
import { MAX_RETRY_ATTEMPTS } from "./limits.ts";
import type { Remarks } from "./remarks.ts";

/** Source: Envoy's back-off, which Istio leaves as it is. */
const BACKOFF_MS = 25;
/** The longest back-off, in shortest ones. Source: Envoy, RetryBackOff.max_interval. */
const MAX_BACKOFF_FACTOR = 10;

/** Of whoever gives a number of attempts, but no `retryOn`. Source: ambient.md F124. */
const DEFAULT_CONDITIONS: Retry["conditions"] = [
  ...(["connect-failure", "refused-stream", "unavailable", "cancelled"] as const),
];

export function retriesOf(retries: IstioRetries, field: string, remarks: Remarks): Retry {
  const { attempts = 0, perTryTimeout, retryOn = "", backoff } = retries;
  if (retries.retryRemoteLocalities === true) {
    remarks.add(`${field}.retryRemoteLocalities`, "is not supported and has no effect");
  }
  if (retries.retryIgnorePreviousHosts === false) {
    remarks.add(`${field}.retryIgnorePreviousHosts`, "tries go to other endpoints where they can");
  }
  if (attempts > MAX_RETRY_ATTEMPTS) {
    remarks.add(`${field}.attempts`, `at most ${MAX_RETRY_ATTEMPTS} are done`);
  }
  const perTryTimeoutMs = durationMs(perTryTimeout);
  const backoffMs = durationMs(backoff) || BACKOFF_MS;
  return {
    attempts: Math.min(attempts, MAX_RETRY_ATTEMPTS),
    ...conditionsOf(retryOn, `${field}.retryOn`, remarks),
    ...(perTryTimeoutMs > 0 && { perTryTimeoutMs }),
    backoffMs,
    backoffMaxMs: backoffMs * MAX_BACKOFF_FACTOR,
  };
}

/** Numbers among the conditions are statuses. */
function conditionsOf(
  retryOn: string,
  field: string,
  remarks: Remarks,
): Pick<Retry, "conditions" | "codes"> {
  const words = retryOn.split(",").flatMap((word) => word.trim() || []);
  if (words.length === 0) return { conditions: DEFAULT_CONDITIONS, codes: [] };
  const codes = new Set<number>();
  const conditions = new Set<Retry["conditions"][number]>();
  const unknown: string[] = [];
  for (const word of words) {
    const known = RETRY_CONDITIONS.find((condition) => condition === word);
    const code = /^[1-5][0-9]{2}$/.test(word) ? Number(word) : undefined;
    if (known !== undefined) conditions.add(known);
    else if (code === undefined) unknown.push(word);
    else codes.add(code);
  }
  if (codes.size > 0) conditions.add("retriable-status-codes");
  if (unknown.length > 0) remarks.add(field, `${unknown.join(", ")} is not supported`);
  return { conditions: [...conditions], codes: [...codes] };
}
