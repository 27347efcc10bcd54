/** What waypoints are told of VirtualServices and DestinationRules does not hang on history. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { KubernetesObject, ObjectChange } from "#common/kubernetes/objects.ts";
import { validateObject } from "#common/kubernetes/validate/validate-object.ts";
import { WAYPOINT_TYPE } from "#common/xds/type-urls.ts";
import { Registry } from "../registry.ts";
import {
  absent,
  makeNamespace,
  makePod,
  makeService,
  makeServiceEntry,
  present,
} from "../registry-fixtures.ts";
import { DEFAULT_REGISTRY_OPTIONS } from "../registry-options.ts";
import { makeGateway, waypointBackend } from "../waypoints/waypoint-fixtures.ts";

// Few names, so that random objects meet each other often.
const uses = { "istio.io/use-waypoint": "waypoint", "istio.io/use-waypoint-namespace": "shop" };
const namespace = fc.constantFrom("shop", "bank");
const host = fc.constantFrom(
  ...["s1", "s2", "s1.shop.svc.cluster.local", "s1.bank.svc.cluster.local"],
  ...["a.example", "*.example", "*.shop.svc.cluster.local", "*"],
);
const destination = fc
  .tuple(host, fc.option(fc.constantFrom("v1", "v2"), { nil: undefined }))
  .map(([name, subset]) => ({ host: name, ...(subset && { subset }) }));
const labels = fc.constantFrom({ version: "v1" }, { version: "v2" });
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const exportTo = optional(fc.constantFrom(["."], ["*"], ["shop"]));
const created = fc.constantFrom(...[1, 2, 3].map((day) => `2026-01-0${day}T00:00:00Z`));
const metadata = fc.record({
  name: fc.constantFrom("a", "b", "c"),
  namespace: fc.constantFrom("shop", "bank", "istio-system"),
  creationTimestamp: created,
});

/** Only what passes validation reaches a registry. */
function valid(kind: string, spec: fc.Arbitrary<object>): fc.Arbitrary<KubernetesObject> {
  return fc.tuple(metadata, spec).map(([meta, given]) => {
    const apiVersion = "networking.istio.io/v1";
    const value = { apiVersion, kind, metadata: meta, spec: given };
    const { object, issues } = validateObject(JSON.parse(JSON.stringify(value)));
    assert.ok(object, JSON.stringify(issues));
    return object;
  });
}

const route = fc.record({
  match: optional(
    fc.array(
      fc.record({ port: optional(fc.constantFrom(80, 81)), sourceLabels: optional(labels) }),
      {
        maxLength: 2,
      },
    ),
  ),
  route: fc.tuple(destination).map(([to]) => [{ destination: to }]),
});

const anyObject = fc.oneof(
  {
    weight: 4,
    arbitrary: valid(
      "VirtualService",
      fc.record({
        hosts: fc.uniqueArray(host, { minLength: 1, maxLength: 2 }),
        gateways: optional(fc.constantFrom(["mesh"], ["edge"])),
        exportTo,
        http: fc.array(route, { minLength: 1, maxLength: 2 }),
      }),
    ),
  },
  {
    weight: 4,
    arbitrary: valid(
      "DestinationRule",
      fc.record({
        host,
        exportTo,
        trafficPolicy: optional(
          fc.constantFrom({ loadBalancer: { simple: "RANDOM" } }, { outlierDetection: {} }),
        ),
        subsets: fc.uniqueArray(fc.record({ name: fc.constantFrom("v1", "v2"), labels }), {
          selector: ({ name }) => name,
        }),
      }),
    ),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom("s1", "s2"), namespace, fc.constantFrom(80, 81))
      .map(([name, inside, port]) =>
        makeService(
          name,
          { clusterIP: "10.96.0.1", selector: { app: name }, ports: [{ name: "http", port }] },
          { namespace: inside, labels: uses },
        ),
      ),
  },
  fc
    .tuple(fc.constantFrom("e1", "e2"), namespace)
    .map(([name, inside]) =>
      makeServiceEntry(name, { hosts: ["a.example"] }, { namespace: inside, labels: uses }),
    ),
  fc
    .tuple(fc.constantFrom("s1", "s2"), namespace, labels)
    .map(([app, inside, version]) =>
      makePod({ name: `${app}-1`, namespace: inside, labels: { app, ...version } }),
    ),
);

const base = [
  makeNamespace("shop"),
  makeNamespace("bank"),
  makeGateway("waypoint", {}, { from: "All" }),
  ...waypointBackend(),
];

/** What the waypoint is told, and what is said of the objects that there are. */
class World {
  readonly registry = new Registry(DEFAULT_REGISTRY_OPTIONS);
  readonly objects = new Map<string, KubernetesObject>();
  readonly said = new Map<string, string>();

  apply(changes: readonly ObjectChange[]): void {
    const { problems, statuses } = this.registry.apply(changes);
    assert.deepEqual(problems, []);
    for (const { key, object } of changes) {
      if (object !== undefined) this.objects.set(key, object);
      else {
        this.objects.delete(key);
        this.said.delete(key);
      }
    }
    for (const status of statuses) {
      if (status.kind !== "VirtualService" && status.kind !== "DestinationRule") continue;
      this.said.set(`${status.kind}/${status.namespace}/${status.name}`, JSON.stringify(status));
    }
  }

  get told() {
    return [...this.registry.resources.all(WAYPOINT_TYPE)]
      .map(({ name, value }) => `${name} ${Buffer.from(value).toString("latin1")}`)
      .sort();
  }
}

const change = fc
  .tuple(anyObject, fc.boolean())
  .map(([object, stays]) => (stays ? present(object) : absent(object)));

test("what is derived step by step is what a fresh registry derives at once", () => {
  fc.assert(
    fc.property(
      fc.array(anyObject, { maxLength: 8 }),
      fc.array(change, { maxLength: 12 }),
      (first, steps) => {
        const world = new World();
        world.apply(present(...base, ...first));
        for (const step of steps) world.apply(step);
        const fresh = new World();
        fresh.apply(present(...world.objects.values()));
        assert.deepEqual(world.told, fresh.told);
        assert.deepEqual([...world.said].sort(), [...fresh.said].sort());
      },
    ),
    { numRuns: 300 },
  );
});
