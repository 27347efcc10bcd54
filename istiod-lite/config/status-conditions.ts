/** Conditions as they are stored, also deep inside a status: of a route's parents, of listeners. */

import type { Condition } from "#common/kubernetes/objects.ts";
import { mergeConditions } from "#common/kubernetes/overlay.ts";
import { POLICY_CONTROLLER, ROUTE_CONTROLLER } from "#common/kubernetes/route-objects.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";
import type { NewCondition } from "#istiod-lite/config/source.ts";

/**
 * A condition as it is to be stored. `present` are the conditions that there are: the time moves
 * only when the status does.
 */
export function completeCondition(
  { type, status, reason, message }: NewCondition,
  present: readonly Condition[],
  { observedGeneration, now }: { readonly observedGeneration: number | undefined; now: () => Date },
): Condition {
  const before = present.find((condition) => condition.type === type);
  const unmoved = before?.status === status ? before.lastTransitionTime : undefined;
  return {
    type,
    status,
    ...(reason === undefined ? {} : { reason }),
    ...(message === undefined ? {} : { message }),
    ...(observedGeneration === undefined ? {} : { observedGeneration }),
    lastTransitionTime: unmoved ?? now().toISOString(),
  };
}

/** Makes a stored condition of a new one; `present` are those that there are. */
type Complete = (condition: NewCondition, present: readonly Condition[]) => Condition;

/** `all` with the given ones set, by type, and without those of `obsoleteTypes`. */
export function withConditions(
  all: readonly Condition[],
  conditions: readonly NewCondition[],
  obsoleteTypes: readonly string[],
  complete: Complete,
): readonly Condition[] {
  const present = all.filter(({ type }) => !obsoleteTypes.includes(type));
  const changes = conditions.map((condition) => complete(condition, present));
  return mergeConditions(present, changes);
}

/**
 * The fields as they are to be stored: their conditions completed from `present`, and entries of
 * other controllers as they are in `others`.
 */
export function completeFields(
  fields: JsonObject,
  { present, others = present }: { readonly present: JsonObject; readonly others?: JsonObject },
  complete: Complete,
): JsonObject {
  const completed = Object.entries(fields).map(([field, value]) => {
    const ours = completeConditions(value, present[field], complete);
    return [field, Array.isArray(ours) ? [...foreignEntries(others[field]), ...ours] : ours];
  });
  return Object.fromEntries(completed);
}

/**
 * The value with every list called `conditions` completed from that at the same place in `before`.
 * Elements of other lists are the same where their names are, or all but their conditions.
 */
function completeConditions(value: unknown, before: unknown, complete: Complete): unknown {
  if (Array.isArray(value)) {
    const elements: readonly unknown[] = Array.isArray(before) ? before : [];
    const byIdentity = new Map(elements.map((element) => [identityOf(element), element]));
    return value.map((element) =>
      completeConditions(element, byIdentity.get(identityOf(element)), complete),
    );
  }
  if (!isJsonObject(value)) return value;
  const old = isJsonObject(before) ? before : {};
  const entries = Object.entries(value).map(([key, part]) => {
    if (key !== "conditions" || !Array.isArray(part)) {
      return [key, completeConditions(part, old[key], complete)];
    }
    const present: readonly Condition[] = Array.isArray(old.conditions) ? old.conditions : [];
    return [key, part.map((condition: NewCondition) => complete(condition, present))];
  });
  return Object.fromEntries(entries);
}

const OUR_CONTROLLERS: readonly unknown[] = [ROUTE_CONTROLLER, POLICY_CONTROLLER];

/**
 * Of a list with an entry per controller (a route's parents, a policy's ancestors), those that are
 * not ours to change: whoever wrote them, removes them.
 */
function foreignEntries(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) return [];
  return value.filter(
    (entry) =>
      isJsonObject(entry) &&
      entry.controllerName !== undefined &&
      !OUR_CONTROLLERS.includes(entry.controllerName),
  );
}

function identityOf(element: unknown): string {
  if (!isJsonObject(element)) return JSON.stringify(element) ?? "";
  if (typeof element.name === "string") return element.name;
  const { conditions: _, ...others } = element;
  return JSON.stringify(others);
}
