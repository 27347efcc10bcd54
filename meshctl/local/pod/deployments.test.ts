import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Deployment } from "#common/kubernetes/objects.ts";
import {
  type OwnedPod,
  planPods,
  podFromTemplate,
  podNameSuffix,
  templateHash,
} from "./deployments.ts";

const DEPLOYMENT: Deployment = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", namespace: "shop" },
  spec: {
    selector: { matchLabels: { app: "web" } },
    template: {
      metadata: { labels: { app: "web" }, annotations: { note: "n" } },
      spec: { containers: [{ name: "c", image: "node" }] },
    },
  },
};

const pod = (name: string, templateHashText: string, ready: boolean, order: number): OwnedPod => ({
  name,
  templateHash: templateHashText,
  ready,
  order,
});

describe("the plan for a Deployment", () => {
  test("makes pods that are missing", () => {
    assert.deepEqual(planPods(3, "h", [pod("a", "h", true, 0)]), { create: 2, remove: [] });
    assert.deepEqual(planPods(0, "h", []), { create: 0, remove: [] });
  });

  test("removes what is too much: first what is not ready, then the youngest", () => {
    const pods = [pod("a", "h", true, 0), pod("b", "h", false, 1), pod("c", "h", true, 2)];
    assert.deepEqual(planPods(2, "h", pods), { create: 0, remove: ["b"] });
    assert.deepEqual(planPods(1, "h", pods), { create: 0, remove: ["b", "c"] });
    assert.deepEqual(planPods(0, "h", pods), { create: 0, remove: ["b", "c", "a"] });
  });

  test("keeps pods of an old template until as many new ones are ready", () => {
    const old = [pod("a", "old", true, 0), pod("b", "old", true, 1)];
    assert.deepEqual(planPods(2, "new", old), { create: 2, remove: [] });
    const half = [...old, pod("c", "new", true, 2), pod("d", "new", false, 3)];
    assert.deepEqual(planPods(2, "new", half), { create: 0, remove: ["b"] });
    const whole = [...old, pod("c", "new", true, 2), pod("d", "new", true, 3)];
    assert.deepEqual(planPods(2, "new", whole), { create: 0, remove: ["b", "a"] });
  });

  test("wants nothing more of what it has made", () => {
    const made = Array.from({ length: 5 }, (_, i) => pod(`p${i}`, "h", false, i));
    assert.deepEqual(planPods(5, "h", made), { create: 0, remove: [] });
  });
});

test("a template's hash changes with the template and with nothing else", () => {
  const scaled = { ...DEPLOYMENT, spec: { ...DEPLOYMENT.spec, replicas: 9 } };
  assert.equal(templateHash(scaled), templateHash(DEPLOYMENT));
  const spec = { containers: [{ name: "c", image: "node:27" }] };
  const template = { ...DEPLOYMENT.spec.template, spec };
  const changed = { ...DEPLOYMENT, spec: { ...DEPLOYMENT.spec, template } };
  assert.notEqual(templateHash(changed), templateHash(DEPLOYMENT));
  assert.match(templateHash(DEPLOYMENT), /^[a-z0-9]{10}$/);
});

test("a pod of a Deployment looks as if its ReplicaSet had made it", () => {
  const made = podFromTemplate(DEPLOYMENT, "hash", podNameSuffix(new Uint8Array([0, 1, 2, 3, 4])));
  assert.deepEqual(made.metadata, {
    name: "web-hash-bcdfg",
    namespace: "shop",
    labels: { app: "web", "pod-template-hash": "hash" },
    annotations: { note: "n" },
    ownerReferences: [
      { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web-hash", controller: true },
    ],
  });
});
