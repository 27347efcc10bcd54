/** The order in which several objects for one host count: the oldest first. */
import type { IstioRouteObject } from "#common/kubernetes/istio-route-objects.ts";
import { createdMs, namespacedName } from "../pod-facts.ts";

export function byAge(a: IstioRouteObject, b: IstioRouteObject): number {
  const [first, second] = [createdMs(a), createdMs(b)];
  if (first !== second) return first < second ? -1 : 1;
  return namespacedName(a) < namespacedName(b) ? -1 : 1;
}

/** A change of the status alone, our own among them, is none of what the object does. */
export function isSame(
  before: IstioRouteObject | undefined,
  after: IstioRouteObject | undefined,
): boolean {
  if (before === undefined || after === undefined) return false;
  if (before.metadata.creationTimestamp !== after.metadata.creationTimestamp) return false;
  return before.spec === after.spec || JSON.stringify(before.spec) === JSON.stringify(after.spec);
}
