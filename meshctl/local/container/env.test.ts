import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "#common/kubernetes/objects.ts";
import { containerEnv, expand } from "./env.ts";

const POD: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace: "shop", uid: "u-1", labels: { "a.b/c": "d" } },
  spec: { nodeName: "node1", serviceAccountName: "seller", containers: [] },
};
const FACTS = {
  pod: POD,
  podIps: ["10.244.1.2", "fd00:10:244:1::2"],
  hostIp: "172.18.0.2",
  hostIps: ["172.18.0.2"],
};

function envOf(env: readonly object[]): Record<string, string> {
  const container = { name: "c", image: "node", env: env as { name: string }[] };
  return containerEnv(container, FACTS);
}

test("a container's environment holds nothing of the machine's own", () => {
  process.env.AMBIENT_TEST_SECRET = "x";
  assert.deepEqual(Object.keys(envOf([])).sort(), ["HOME", "HOSTNAME", "LANG", "PATH"]);
});

test("the downward API's fields have the pod's values", () => {
  const fields = {
    "metadata.name": "web",
    "metadata.namespace": "shop",
    "metadata.uid": "u-1",
    "metadata.labels['a.b/c']": "d",
    "metadata.annotations['none']": "",
    "spec.nodeName": "node1",
    "spec.serviceAccountName": "seller",
    "status.podIP": "10.244.1.2",
    "status.podIPs": "10.244.1.2,fd00:10:244:1::2",
    "status.hostIP": "172.18.0.2",
  };
  for (const [fieldPath, value] of Object.entries(fields)) {
    assert.equal(
      envOf([{ name: "X", valueFrom: { fieldRef: { fieldPath } } }]).X,
      value,
      fieldPath,
    );
  }
});

test("a variable may name earlier ones, and unknown names stay as they are written", () => {
  const env = envOf([
    { name: "A", value: "one" },
    { name: "B", value: "$(A)-$(C)-$$(A)" },
    { name: "C", value: "late" },
  ]);
  assert.equal(env.B, "one-$(C)-$(A)");
  assert.equal(expand("$(constructor) $(A)", { A: "1" }), "$(constructor) 1");
});
