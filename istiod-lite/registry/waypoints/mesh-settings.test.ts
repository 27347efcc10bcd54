import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import { absent, makeNamespace, present, registryWith } from "../registry-fixtures.ts";
import { makeGateway, toldTo } from "./waypoint-fixtures.ts";

function meshConfig(mesh: string): KubernetesObject {
  const metadata = { name: "istio", namespace: "istio-system" };
  return { apiVersion: "v1", kind: "ConfigMap", metadata, data: { mesh } };
}

test("the mesh configuration's settings of all waypoints reach them, and are taken back", () => {
  const registry = registryWith(makeNamespace("shop"), makeGateway());
  const settings = () => {
    const gateway = toldTo(registry.resources, "shop/waypoint").get("gateway");
    assert.equal(gateway?.kind, "gateway");
    return gateway.pathNormalization;
  };
  assert.equal(settings(), undefined);
  const strict = meshConfig("pathNormalization: { normalization: DECODE_AND_MERGE_SLASHES }");
  registry.apply(present(strict));
  assert.equal(settings(), "decode-and-merge-slashes");
  registry.apply(present(meshConfig("pathNormalization: { normalization: NONE }")));
  assert.equal(settings(), "none");
  registry.apply(present(meshConfig("pathNormalization: { normalization: UPSIDE_DOWN }")));
  assert.equal(settings(), undefined);
  registry.apply(present(strict));
  registry.apply(absent(strict));
  assert.equal(settings(), undefined);
});
