/** Random labels, annotations and Gateways by which objects and waypoints meet often. */
import fc from "fast-check";
import type { Gateway, KubernetesObject, ObjectMeta } from "#common/kubernetes/objects.ts";
import { makeGateway } from "./waypoint-fixtures.ts";

/** One of them is the name of services, too. */
const name = fc.constantFrom("s1", "w");

const label = fc.oneof(
  fc.tuple(fc.constant("istio.io/use-waypoint"), fc.constantFrom("s1", "w", "none", "")),
  fc.tuple(fc.constant("istio.io/use-waypoint"), fc.constantFrom("s1", "w")),
  fc.tuple(fc.constant("istio.io/use-waypoint-namespace"), fc.constantFrom("shop", "bank")),
  fc.tuple(fc.constant("istio.io/use-waypoint-canary"), name),
  fc.tuple(fc.constant("istio.io/ingress-use-waypoint"), fc.constantFrom("true", "false")),
  fc.tuple(fc.constant("gateway.networking.k8s.io/gateway-name"), name),
  fc.tuple(fc.constant("team"), fc.constantFrom("a", "b")),
);

const annotation = fc.oneof(
  fc.tuple(
    fc.constant("ambient.istio.io/waypoint-unavailable"),
    fc.constantFrom("fail-open", "fail-closed"),
  ),
  fc.tuple(fc.constant("ambient.istio.io/enforce-waypoint"), fc.constantFrom("true", "false")),
  fc.tuple(fc.constant("istio.io/use-waypoint-canary-weight"), fc.constantFrom("0", "20", "x")),
);

const waypointMetadata = fc.record({
  labels: fc.array(label, { maxLength: 3 }).map((pairs) => Object.fromEntries(pairs)),
  annotations: fc.array(annotation, { maxLength: 2 }).map((pairs) => Object.fromEntries(pairs)),
});

/** Objects of an arbitrary, most of which say something of waypoints. */
export function withWaypoints<Kind extends KubernetesObject>(
  objects: fc.Arbitrary<Kind>,
): fc.Arbitrary<Kind> {
  return fc.tuple(objects, fc.option(waypointMetadata)).map(([object, more]) => {
    if (more === null) return object;
    const { labels = {}, annotations = {} }: ObjectMeta = object.metadata;
    const metadata = {
      ...object.metadata,
      labels: { ...labels, ...more.labels },
      annotations: { ...annotations, ...more.annotations },
    };
    return { ...object, metadata };
  });
}

export const anyGateway: fc.Arbitrary<Gateway> = fc
  .record({
    name,
    namespace: fc.constantFrom("shop", "bank"),
    traffic: fc.constantFrom("service", "workload", "all", undefined),
    from: fc.constantFrom(undefined, "All" as const, "Same" as const, "Selector" as const),
  })
  .map(({ name: own, namespace, traffic, from }) => {
    // Always the same one: what was said of a Gateway that goes to another revision stays.
    const revision = own === "w" && namespace === "bank" ? "other" : undefined;
    const labels = {
      ...(traffic !== undefined && { "istio.io/waypoint-for": traffic }),
      ...(revision !== undefined && { "istio.io/rev": revision }),
    };
    const selector = { matchLabels: { team: "a" } };
    const allowed = from && { from, ...(from === "Selector" && { selector }) };
    return makeGateway(own, { namespace, labels }, allowed);
  });
