import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import { formatCidr } from "#common/model/ip.ts";
import { BLACK_HOLE } from "#common/model/service.ts";
import { Registry } from "./registry.ts";
import { absent, makeNamespace, present, servicesOf } from "./registry-fixtures.ts";
import { DEFAULT_REGISTRY_OPTIONS, type RegistryOptions } from "./registry-options.ts";

function configMap(mesh: string): KubernetesObject {
  const metadata = { name: "istio", namespace: "istio-system" };
  return { apiVersion: "v1", kind: "ConfigMap", metadata, data: { mesh } };
}

function meshConfig(mode: string): KubernetesObject {
  return configMap(`outboundTrafficPolicy: { mode: ${mode} }`);
}

function registryOf(outboundTraffic: RegistryOptions["outboundTraffic"]): Registry {
  const registry = new Registry({ ...DEFAULT_REGISTRY_OPTIONS, outboundTraffic });
  registry.apply(present(makeNamespace("shop")));
  return registry;
}

/** The blocks that lead nowhere. */
function blackHole({ resources }: Registry): readonly string[] {
  const services = servicesOf(resources).filter(({ hostname }) => hostname === BLACK_HOLE);
  return services.flatMap(({ addresses }) =>
    addresses.map(({ cidr }) => (cidr === undefined ? "no block" : formatCidr(cidr))),
  );
}

const EVERYWHERE = ["0.0.0.0/0", "::/0"];

test("REGISTRY_ONLY gives what no object describes to nobody, until it is taken back", () => {
  const registry = registryOf("allow-any");
  assert.deepEqual(blackHole(registry), []);
  registry.apply(present(meshConfig("REGISTRY_ONLY")));
  assert.deepEqual(blackHole(registry), EVERYWHERE);
  const unrelated = registry.apply(present(makeNamespace("bank")));
  assert.deepEqual([...unrelated.changed, ...unrelated.removed], []);
  registry.apply(present(meshConfig("ALLOW_ANY")));
  assert.deepEqual(blackHole(registry), []);
});

test("the mesh configuration comes before what istiod was started with", () => {
  const registry = registryOf("registry-only");
  assert.deepEqual(blackHole(registry), EVERYWHERE);
  registry.apply(present(meshConfig("ALLOW_ANY")));
  assert.deepEqual(blackHole(registry), []);
  registry.apply(absent(meshConfig("ALLOW_ANY")));
  assert.deepEqual(blackHole(registry), EVERYWHERE);
});

for (const [title, broken] of [
  ["a mode that is none", meshConfig("REGISTRY")],
  ["no YAML", configMap("a: [")],
  ["no map", configMap("- outboundTrafficPolicy")],
] as const) {
  test(`${title} leaves in force what was, closed or open`, () => {
    const registry = registryOf("allow-any");
    registry.apply(present(broken));
    assert.deepEqual(blackHole(registry), []);
    registry.apply(present(meshConfig("REGISTRY_ONLY")));
    registry.apply(present(broken));
    assert.deepEqual(blackHole(registry), EVERYWHERE);
    registry.apply(absent(broken));
    assert.deepEqual(blackHole(registry), []);
  });
}

test("a configuration that cannot be read from the start opens nothing that istiod closes", () => {
  const registry = new Registry({
    ...DEFAULT_REGISTRY_OPTIONS,
    outboundTraffic: "registry-only",
  });
  registry.apply(present(makeNamespace("shop"), meshConfig("REGISTRY")));
  assert.deepEqual(blackHole(registry), EVERYWHERE);
});
