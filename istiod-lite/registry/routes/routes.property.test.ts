/** Routes, and all that they hang on, in any history: only what stands at its end counts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type KubernetesObject, objectKey } from "#common/kubernetes/objects.ts";
import { Registry } from "../registry.ts";
import {
  absent,
  makeNamespace,
  makeService,
  makeServiceEntry,
  present,
} from "../registry-fixtures.ts";
import { DEFAULT_REGISTRY_OPTIONS } from "../registry-options.ts";
import type { ObjectStatus } from "../registry-update.ts";
import { makeGateway, toldTo, waypointBackend } from "../waypoints/waypoint-fixtures.ts";
import { route, valid } from "./route-test-mesh.ts";

const GROUP = "gateway.networking.k8s.io";
const RUNS = 300;
const WAYPOINT = "shop/waypoint";
const uses = { "istio.io/use-waypoint": "waypoint", "istio.io/use-waypoint-namespace": "shop" };
const ground = [
  makeGateway("waypoint", {}, { from: "All" }),
  ...waypointBackend(),
  ...["shop", "other"].map((name) => makeNamespace(name, uses)),
];

const namespace = fc.constantFrom("shop", "other");
const name = fc.constantFrom("a", "b");
const port = fc.constantFrom(80, 81);
const host = fc.constantFrom("x.example", "y.example", "a.shop.svc.cluster.local");
const stamp = fc.constantFrom("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z");

const service = fc
  .record({ namespace, name, port, kind: fc.constantFrom("http", "tcp") })
  .map(({ kind, ...of }) =>
    makeService(
      of.name,
      { clusterIP: `10.96.0.${of.name === "a" ? 1 : 2}`, ports: [{ name: kind, port: of.port }] },
      { namespace: of.namespace },
    ),
  );
const entry = fc
  .record({ namespace, name, hosts: fc.uniqueArray(host, { minLength: 1, maxLength: 2 }) })
  .map((of) =>
    makeServiceEntry(of.name, { hosts: of.hosts }, { namespace: of.namespace, labels: uses }),
  );

const reference = fc.oneof(
  fc.record({ name, namespace, port }),
  fc.record({
    group: fc.constant("networking.istio.io"),
    kind: fc.constant("ServiceEntry"),
    name,
    namespace,
  }),
  fc.record({
    group: fc.constant("networking.istio.io"),
    kind: fc.constant("Hostname"),
    name: host,
    port: fc.constant(80),
  }),
);
const parent = fc.oneof(
  fc.record({ group: fc.constant(""), kind: fc.constant("Service"), name, namespace }),
  fc.record({ group: fc.constant(""), kind: fc.constant("Service"), name, namespace, port }),
  fc.record({
    group: fc.constant("networking.istio.io"),
    kind: fc.constant("ServiceEntry"),
    name,
    namespace,
  }),
  fc.constant({ name: "ingress" }),
);
const filter = fc.oneof(
  fc.record({
    type: fc.constant("RequestMirror"),
    requestMirror: fc.record({ backendRef: reference }),
  }),
  fc.constant({ type: "ExtensionRef", extensionRef: { group: "a.b", kind: "K", name: "n" } }),
);

const anyRoute = fc
  .record({
    kind: fc.constantFrom("HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"),
    metadata: fc.record({
      name,
      namespace: fc.oneof(namespace, fc.constant("client")),
      creationTimestamp: stamp,
    }),
    parents: fc.uniqueArray(parent, { maxLength: 2, selector: (ref) => ref.name }),
    backendRefs: fc.array(reference, { minLength: 1, maxLength: 2 }),
    filters: fc.array(filter, { maxLength: 1 }),
  })
  .map(({ kind, metadata, parents, backendRefs, filters }) => {
    const isL4 = kind === "TCPRoute" || kind === "TLSRoute";
    const rules = [{ backendRefs, ...(isL4 ? {} : { filters }) }];
    const hostnames = kind === "TLSRoute" ? { hostnames: ["s.example", "*.example"] } : {};
    return route(kind, { parentRefs: parents, rules, ...hostnames }, metadata);
  });

const grant = fc
  .record({
    namespace,
    from: fc.constantFrom("shop", "other", "client"),
    kind: fc.constantFrom("HTTPRoute", "TCPRoute"),
    to: fc.constantFrom(
      { group: "", kind: "Service" },
      { group: "", kind: "Service", name: "a" },
      { group: "networking.istio.io", kind: "ServiceEntry" },
    ),
  })
  .map((of) =>
    valid("ReferenceGrant", {
      apiVersion: `${GROUP}/v1`,
      kind: "ReferenceGrant",
      metadata: { name: of.kind.toLowerCase(), namespace: of.namespace },
      spec: { from: [{ group: GROUP, kind: of.kind, namespace: of.from }], to: [of.to] },
    }),
  );

const policy = fc
  .record({ namespace, name, target: name, creationTimestamp: stamp, sectionName: fc.boolean() })
  .map((of) =>
    valid("BackendTLSPolicy", {
      apiVersion: `${GROUP}/v1`,
      kind: "BackendTLSPolicy",
      metadata: {
        name: of.name,
        namespace: of.namespace,
        creationTimestamp: of.creationTimestamp,
      },
      spec: {
        targetRefs: [
          {
            group: "",
            kind: "Service",
            name: of.target,
            ...(of.sectionName && { sectionName: "http" }),
          },
        ],
        validation: {
          hostname: "s.example",
          caCertificateRefs: [{ group: "", kind: "ConfigMap", name: "ca" }],
        },
      },
    }),
  );
const PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const configMap = fc.record({ namespace, pem: fc.constantFrom("", PEM) }).map((of) =>
  valid("ConfigMap", {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "ca", namespace: of.namespace },
    data: { "ca.crt": of.pem },
  }),
);

const anyObject = fc.oneof(
  { arbitrary: anyRoute, weight: 4 },
  { arbitrary: service, weight: 2 },
  {
    arbitrary: fc.oneof<fc.Arbitrary<KubernetesObject>[]>(entry, grant, policy, configMap),
    weight: 4,
  },
);
const change = fc
  .tuple(anyObject, fc.nat({ max: 3 }))
  .map(([object, dice]) => (dice === 0 ? absent(object) : present(object)));
const history = fc.array(fc.array(change, { minLength: 1, maxLength: 4 }), { maxLength: 15 });

function hear(said: Map<string, string>, statuses: readonly ObjectStatus[]): void {
  for (const { kind, namespace: where, name: who, fields } of statuses) {
    const entries = Object.values(fields ?? {}).flat();
    if (!kind.endsWith("Route") && kind !== "BackendTLSPolicy") continue;
    if (entries.length === 0) said.delete(`${kind}/${where}/${who}`);
    else said.set(`${kind}/${where}/${who}`, JSON.stringify(entries));
  }
}

test("routes after any history are what a fresh registry makes of the final objects", () => {
  fc.assert(
    fc.property(history, (batches) => {
      const registry = new Registry(DEFAULT_REGISTRY_OPTIONS);
      registry.apply(present(...ground));
      const objects = new Map<string, KubernetesObject>();
      const said = new Map<string, string>();
      for (const batch of batches) {
        const changes = batch.flat();
        for (const { key, object } of changes) {
          if (object !== undefined) objects.set(key, object);
          else objects.delete(key);
          if (object === undefined) said.delete(key);
        }
        const { problems, statuses } = registry.apply(changes);
        assert.deepEqual(problems, []);
        hear(said, statuses);
      }
      const fresh = new Registry(DEFAULT_REGISTRY_OPTIONS);
      const saidNow = new Map<string, string>();
      const all = [...ground, ...objects.values()].sort((a, b) =>
        objectKey(a) < objectKey(b) ? -1 : 1,
      );
      hear(saidNow, fresh.apply(present(...all)).statuses);
      const told = toldTo(registry.resources, WAYPOINT);
      assert.deepEqual(
        new Map([...told].sort()),
        new Map([...toldTo(fresh.resources, WAYPOINT)].sort()),
      );
      assert.deepEqual([...said].sort(), [...saidNow].sort());
    }),
    { numRuns: RUNS },
  );
});

test("the histories are of some use: routes reach services, grants and policies count", () => {
  const seen = new Set<string>();
  for (const batches of fc.sample(history, { numRuns: RUNS, seed: 1 })) {
    const registry = new Registry(DEFAULT_REGISTRY_OPTIONS);
    registry.apply(present(...ground));
    for (const batch of batches) registry.apply(batch.flat());
    for (const resource of toldTo(registry.resources, WAYPOINT).values()) {
      if (resource.kind === "backend" && resource.policy.tls) seen.add("tls");
      if (resource.kind !== "service") continue;
      for (const { http, tcp } of resource.ports) {
        if (tcp) seen.add("tcp");
        for (const { consumerNamespace, backends } of http?.rules ?? []) {
          seen.add(consumerNamespace === undefined ? "producer" : "consumer");
          for (const { backend, invalid = "" } of backends) {
            if (backend !== undefined && backend.namespace !== resource.namespace)
              seen.add("across");
            if (invalid.includes("ReferenceGrant")) seen.add("not permitted");
          }
        }
      }
    }
  }
  const wanted = ["across", "consumer", "not permitted", "producer", "tcp", "tls"];
  assert.deepEqual([...seen].sort(), wanted);
});
