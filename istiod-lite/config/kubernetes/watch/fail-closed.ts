/**
 * What stands in for a policy that nobody understands and that nobody has seen in a better state:
 * something that lets no more through than the policy can have meant to.
 */

import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import { validateObject } from "#common/kubernetes/validate/validate-object.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";

/** Undefined where the object's absence lets nothing more through. */
export function failClosed(object: JsonObject): KubernetesObject | undefined {
  const specs = specsFor(object);
  const { name, namespace, uid, creationTimestamp, generation } = isJsonObject(object.metadata)
    ? object.metadata
    : {};
  const { apiVersion, kind } = object;
  const identity = { name, namespace, uid, creationTimestamp, generation };
  const known = Object.entries(identity).filter(([, value]) => value !== undefined);
  const metadata = Object.fromEntries(known);
  for (const spec of specs) {
    const { object: valid } = validateObject({ apiVersion, kind, metadata, spec });
    if (valid !== undefined) return valid;
  }
  return undefined;
}

/** The narrowest first; where even the selector cannot be read, the whole namespace. */
function specsFor({ kind, spec }: JsonObject): readonly JsonObject[] {
  const given = isJsonObject(spec) ? spec : {};
  if (kind === "PeerAuthentication") {
    const strict = { mtls: { mode: "STRICT" } };
    const { selector } = given;
    return [...(selector === undefined ? [] : [{ selector, ...strict }]), strict];
  }
  if (kind !== "AuthorizationPolicy") return [];
  const { action = "ALLOW", rules, selector, targetRef, targetRefs } = given;
  const isEmpty = Array.isArray(rules) ? rules.length === 0 : rules === undefined;
  // Without rules it denies nothing: only ALLOW does something then, which is to deny all.
  if (action !== "ALLOW" && isEmpty) return [];
  if (action === "AUDIT") return [];
  const places = Object.entries({ selector, targetRef, targetRefs });
  const place = Object.fromEntries(places.filter(([, value]) => value !== undefined));
  const denial = action === "ALLOW" ? { action } : { action: "DENY", rules: [{}] };
  return [{ ...place, ...denial }, denial];
}
