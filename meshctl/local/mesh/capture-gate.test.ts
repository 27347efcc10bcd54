import assert from "node:assert/strict";
import { test } from "node:test";
import type { Namespace, Pod } from "#common/kubernetes/objects.ts";
import { asksForCapture, isCaptured } from "./capture-gate.ts";

const MODE = "istio.io/dataplane-mode";
const namespace = (mode?: string): Namespace => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name: "shop", labels: mode === undefined ? {} : { [MODE]: mode } },
});
const pod = (mode?: string, more: { namespace?: string; hostNetwork?: boolean } = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    name: "p",
    namespace: more.namespace ?? "shop",
    labels: mode === undefined ? {} : { [MODE]: mode },
  },
  spec: { containers: [], hostNetwork: more.hostNetwork ?? false },
});

test("a pod waits for its capture where it or its namespace asks for it", () => {
  const cases: [Pod, Namespace | undefined, boolean][] = [
    [pod(), namespace("ambient"), true],
    [pod("ambient"), namespace(), true],
    [pod("ambient"), undefined, true],
    [pod(), namespace(), false],
    [pod("none"), namespace("ambient"), false],
    [pod("ambient", { hostNetwork: true }), namespace("ambient"), false],
    [pod("ambient", { namespace: "kube-system" }), namespace("ambient"), false],
  ];
  for (const [candidate, of, expected] of cases) {
    assert.equal(asksForCapture(candidate, of), expected, JSON.stringify([candidate, of]));
  }
});

test("a pod is captured when the mesh says so, not while it is on its way", () => {
  const overlay = (value: string) => ({
    metadata: { annotations: { "ambient.istio.io/redirection": value } },
  });
  assert.equal(isCaptured(overlay("enabled")), true);
  assert.equal(isCaptured(overlay("pending")), false);
  assert.equal(isCaptured(undefined), false);
});
