/** Which of a rule's backends a request goes to. */
import type { BackendRef, WeightedBackend } from "#common/model/waypoint/http-route.ts";
import type { LocalReply } from "../filter/stage.ts";

export interface ChosenBackend extends WeightedBackend {
  readonly backend: BackendRef;
}

/**
 * By weight, the invalid ones included: their share of the requests is answered with 500. Source:
 * Gateway API, HTTPRouteRule.backendRefs. `random`: uniform in [0, 1).
 */
export function chooseBackend(
  backends: readonly WeightedBackend[],
  random: () => number,
): ChosenBackend | LocalReply {
  const chosen = pick(backends, random);
  if (chosen === undefined) return invalidBackend("the route has no backend of any weight");
  const { backend } = chosen;
  if (backend === undefined) return invalidBackend(chosen.invalid ?? "the backend is not valid");
  return { ...chosen, backend };
}

function pick(
  backends: readonly WeightedBackend[],
  random: () => number,
): WeightedBackend | undefined {
  const [only] = backends;
  if (backends.length === 1 && only !== undefined) return only.weight > 0 ? only : undefined;
  let total = 0;
  for (const { weight } of backends) total += weight;
  let point = random() * total;
  for (const backend of backends) {
    point -= backend.weight;
    if (point < 0) return backend;
  }
  return undefined;
}

function invalidBackend(detail: string): LocalReply {
  return { status: 500, reason: "invalid-backend", body: "the route leads nowhere", detail };
}
