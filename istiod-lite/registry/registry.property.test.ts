import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { EndpointSlice, KubernetesObject, ObjectChange } from "#common/kubernetes/objects.ts";
import { objectKey } from "#common/kubernetes/objects.ts";
import { TYPE_URLS } from "#common/xds/type-urls.ts";
import { Registry } from "./registry.ts";
import {
  absent,
  makeNamespace,
  makeNode,
  makePod,
  makeService,
  present,
} from "./registry-fixtures.ts";
import { DEFAULT_REGISTRY_OPTIONS } from "./registry-options.ts";
import type { RegistryUpdate } from "./registry-update.ts";

// Few names, labels and addresses, so that random objects meet each other often.
const namespace = fc.constantFrom("shop", "bank", "istio-system");
const ip = fc.constantFrom("10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1");
const labels = fc.dictionary(
  fc.constantFrom("app", "tier", "istio.io/dataplane-mode"),
  fc.constantFrom("a", "b", "ambient", "none"),
  { maxKeys: 3, noNullPrototype: true },
);

const pod = fc
  .record({
    name: fc.constantFrom("p1", "p2", "p3"),
    namespace,
    labels,
    ips: fc.uniqueArray(ip, { maxLength: 2 }),
    node: fc.constantFrom("node-1", "node-2"),
    ready: fc.boolean(),
    hostNetwork: fc.boolean(),
    phase: fc.constantFrom("Running" as const, "Running" as const, "Succeeded" as const),
    captured: fc.boolean(),
  })
  .map(({ hostNetwork, phase, captured, ips, ready, ...shape }) =>
    makePod({
      ...shape,
      spec: { hostNetwork },
      annotations: captured ? { "ambient.istio.io/redirection": "enabled" } : {},
      status: {
        phase,
        podIPs: ips.map((each) => ({ ip: each })),
        conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
      },
    }),
  );

const service = fc
  .record({
    name: fc.constantFrom("s1", "s2"),
    namespace,
    selector: fc.option(
      fc.dictionary(fc.constantFrom("app", "tier"), fc.constantFrom("a", "b"), {
        maxKeys: 2,
        noNullPrototype: true,
      }),
      { nil: {} },
    ),
    external: fc.nat(9).map((n) => n === 0),
    notReady: fc.boolean(),
  })
  .map(({ name, namespace: ns, selector, external, notReady }) =>
    makeService(
      name,
      {
        type: external ? "ExternalName" : "ClusterIP",
        clusterIPs: [`10.96.0.${name.length}`],
        selector,
        ports: [{ name: "http", port: 80, targetPort: 8080 }],
        publishNotReadyAddresses: notReady,
      },
      { namespace: ns },
    ),
  );

const slice: fc.Arbitrary<EndpointSlice> = fc
  .record({
    name: fc.constantFrom("e1", "e2"),
    namespace,
    of: fc.constantFrom("s1", "s2"),
    addresses: fc.uniqueArray(ip, { maxLength: 3 }),
    port: fc.constantFrom(8080, 9090),
  })
  .map(({ name, namespace: ns, of, addresses, port }) => ({
    apiVersion: "discovery.k8s.io/v1" as const,
    kind: "EndpointSlice" as const,
    metadata: { name, namespace: ns, labels: { "kubernetes.io/service-name": of } },
    addressType: "IPv4" as const,
    endpoints: addresses.map((address) => ({ addresses: [address] })),
    ports: [{ name: "http", port }],
  }));

const authorizationPolicy = fc
  .record({ name: fc.constantFrom("a1", "a2"), namespace, app: fc.constantFrom("a", "b", "") })
  .map(({ name, namespace: ns, app }) => ({
    apiVersion: "security.istio.io/v1" as const,
    kind: "AuthorizationPolicy" as const,
    metadata: { name, namespace: ns },
    spec: { ...(app !== "" && { selector: { matchLabels: { app } } }), rules: [{}] },
  }));

const peerAuthentication = fc
  .record({
    name: fc.constantFrom("m1", "m2"),
    namespace,
    app: fc.constantFrom("a", ""),
    mode: fc.constantFrom("STRICT" as const, "PERMISSIVE" as const),
  })
  .map(({ name, namespace: ns, app, mode }) => ({
    apiVersion: "security.istio.io/v1" as const,
    kind: "PeerAuthentication" as const,
    metadata: { name, namespace: ns, creationTimestamp: `2026-01-01T00:00:0${name.length}Z` },
    spec: { ...(app !== "" && { selector: { matchLabels: { app } } }), mtls: { mode } },
  }));

const object: fc.Arbitrary<KubernetesObject> = fc.oneof(
  { weight: 5, arbitrary: pod },
  { weight: 3, arbitrary: service },
  { weight: 3, arbitrary: slice },
  { weight: 2, arbitrary: fc.tuple(namespace, labels).map(([n, l]) => makeNamespace(n, l)) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom("node-1", "node-2"), fc.constantFrom("z1", "z2"))
      .map(([name, zone]) => makeNode(name, { "topology.kubernetes.io/zone": zone })),
  },
  { weight: 2, arbitrary: authorizationPolicy },
  { weight: 2, arbitrary: peerAuthentication },
);

const change: fc.Arbitrary<ObjectChange> = fc
  .tuple(object, fc.nat(3))
  .map(([each, dice]) => (dice === 0 ? absent(each) : present(each))[0] as ObjectChange);

const history = fc.array(fc.array(change, { minLength: 1, maxLength: 4 }), { maxLength: 12 });

function snapshot(registry: Registry): readonly string[] {
  const resources = TYPE_URLS.flatMap((type) => [...registry.resources.all(type)]);
  return resources
    .map(({ typeUrl, name, version, aliases, node, value }) =>
      JSON.stringify([typeUrl, name, version, aliases, node, Buffer.from(value).toString("hex")]),
    )
    .sort();
}

describe("an incremental registry", () => {
  it("publishes after any history what a fresh one derives from the final objects", () => {
    fc.assert(
      fc.property(history, (batches) => {
        const registry = new Registry(DEFAULT_REGISTRY_OPTIONS);
        const objects = new Map<string, KubernetesObject>();
        for (const batch of batches) {
          const { problems } = registry.apply(batch);
          assert.deepEqual(problems, []);
          for (const each of batch) {
            if (each.object === undefined) objects.delete(each.key);
            else objects.set(objectKey(each.object), each.object);
          }
        }
        const fresh = new Registry(DEFAULT_REGISTRY_OPTIONS);
        fresh.apply(present(...objects.values()));
        assert.deepEqual(snapshot(registry), snapshot(fresh));
      }),
      { numRuns: 400 },
    );
  });

  it("is the same whatever the order in which objects are first seen", () => {
    fc.assert(
      fc.property(fc.uniqueArray(object, { selector: objectKey, maxLength: 20 }), (objects) => {
        const one = new Registry(DEFAULT_REGISTRY_OPTIONS);
        const other = new Registry(DEFAULT_REGISTRY_OPTIONS);
        one.apply(present(...objects));
        for (const each of [...objects].reverse()) other.apply(present(each));
        assert.deepEqual(snapshot(one), snapshot(other));
      }),
      { numRuns: 200 },
    );
  });

  it("reports updates that, replayed, give exactly what is published", () => {
    fc.assert(
      fc.property(history, (batches) => {
        const registry = new Registry(DEFAULT_REGISTRY_OPTIONS);
        const replayed = new Map<string, string>();
        for (const batch of batches) replay(replayed, registry.apply(batch));
        const published = TYPE_URLS.flatMap((type) => [...registry.resources.all(type)]);
        assert.deepEqual(
          new Map([...replayed].sort()),
          new Map(
            published.map((each) => [`${each.typeUrl} ${each.name}`, each.version] as const).sort(),
          ),
        );
      }),
      { numRuns: 200 },
    );
  });

  it("reports nothing when the same objects are delivered again", () => {
    fc.assert(
      fc.property(fc.uniqueArray(object, { selector: objectKey, maxLength: 20 }), (objects) => {
        const registry = new Registry(DEFAULT_REGISTRY_OPTIONS);
        registry.apply(present(...objects));
        const again = registry.apply(present(...objects));
        assert.deepEqual([again.changed, again.removed], [[], []]);
      }),
      { numRuns: 100 },
    );
  });
});

function replay(state: Map<string, string>, update: RegistryUpdate): void {
  for (const { typeUrl, name } of update.removed) state.delete(`${typeUrl} ${name}`);
  for (const { typeUrl, name, version } of update.changed) {
    state.set(`${typeUrl} ${name}`, version);
  }
}
