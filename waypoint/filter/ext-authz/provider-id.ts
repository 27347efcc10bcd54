/** Which external authorizers are the same. */
import type { ExtAuthzProvider } from "#common/model/waypoint/policy.ts";

const ids = new WeakMap<ExtAuthzProvider, string>();

/** Equal for equal providers; worked out once. */
export function providerId(provider: ExtAuthzProvider): string {
  let id = ids.get(provider);
  if (id === undefined) {
    id = JSON.stringify(provider);
    ids.set(provider, id);
  }
  return id;
}
