import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubernetesObject, Namespace } from "#common/kubernetes/objects.ts";
import { describeChange } from "./describe-change.ts";

const namespace = (labels?: Record<string, string>): Namespace => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name: "shop", ...(labels === undefined ? {} : { labels }) },
});
const mode = "istio.io/dataplane-mode";

test("a change is told by the fields that changed", () => {
  assert.equal(
    describeChange(namespace({ a: "b" }), namespace({ a: "b", [mode]: "ambient" })),
    `Namespace shop changed: metadata.labels["${mode}"]: (none) -> ambient`,
  );
  assert.equal(describeChange(undefined, namespace()), "Namespace shop added");
  assert.equal(describeChange(namespace(), undefined), "Namespace shop removed");
});

test("many changes are counted, long values cut", () => {
  const config = (data: Record<string, string>): KubernetesObject => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "c", namespace: "shop" },
    data,
  });
  const text = describeChange(
    config({}),
    config({ a: "x".repeat(100), b: "2", c: "3", d: "4", e: "5" }),
  );
  assert.match(text, /^ConfigMap shop\/c changed: data\.a: \(none\) -> x{60}…, .* and 2 more$/);
});
