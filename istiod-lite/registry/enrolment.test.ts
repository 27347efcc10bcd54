import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CAPTURED_POD_TYPE } from "#common/xds/type-urls.ts";
import { capturedOn, makeNamespace, makePod, present, registryWith } from "./registry-fixtures.ts";

describe("enrolment", () => {
  const ambient = { "istio.io/dataplane-mode": "ambient" };
  const none = { "istio.io/dataplane-mode": "none" };
  const matrix: [string, Record<string, string>, ReturnType<typeof makePod>, boolean][] = [
    ["no label", {}, makePod(), false],
    ["the namespace's label", ambient, makePod(), true],
    ["the pod's own label", {}, makePod({ labels: ambient }), true],
    ["the pod opting out", ambient, makePod({ labels: none }), false],
    ["another mode", { "istio.io/dataplane-mode": "sidecar" }, makePod(), false],
    ["a host-network pod", ambient, makePod({ spec: { hostNetwork: true } }), false],
    [
      "a pod with a sidecar",
      ambient,
      makePod({ annotations: { "sidecar.istio.io/status": "{}" } }),
      false,
    ],
    ["a pod run to its end", ambient, makePod({ status: { phase: "Succeeded" } }), false],
    ["a pod without address", ambient, makePod({ ips: [] }), false],
    ["a pod without node", ambient, makePod({ node: "" }), false],
    ["a pod that is not ready yet", ambient, makePod({ ready: false }), true],
    ["a pod called ztunnel elsewhere", ambient, makePod({ labels: { app: "ztunnel" } }), true],
  ];
  for (const [what, labels, pod, enrolled] of matrix) {
    it(`${enrolled ? "includes" : "excludes"} a pod by ${what}`, () => {
      const { resources } = registryWith(makeNamespace("shop", labels), pod);
      assert.equal(resources.count(CAPTURED_POD_TYPE), enrolled ? 1 : 0);
    });
  }

  it("excludes ztunnel in the root namespace, and everything in kube-system", () => {
    const { resources } = registryWith(
      makeNamespace("istio-system", ambient),
      makeNamespace("kube-system", ambient),
      makePod({ namespace: "istio-system", name: "zt", labels: { app: "ztunnel" } }),
      makePod({ namespace: "istio-system", name: "grafana", ips: ["10.0.0.2"] }),
      makePod({ namespace: "kube-system", labels: ambient, ips: ["10.0.0.3"] }),
    );
    assert.deepEqual(
      capturedOn(resources, "node-1").map(({ name }) => name),
      ["grafana"],
    );
  });

  it("follows the namespace's label live, and names pod, node and workload", () => {
    const registry = registryWith(makePod());
    const [added] = registry.apply(present(makeNamespace("shop", ambient))).changed;
    assert.equal(added?.scope, "node-1");
    assert.deepEqual(capturedOn(registry.resources, "node-1"), [
      {
        uid: "uid-of-shop-web-1",
        name: "web-1",
        namespace: "shop",
        serviceAccount: "web",
        ips: ["10.0.1.1"],
        workloadUid: "Kubernetes//Pod/shop/web-1",
        bypassInboundCapture: false,
        dnsCapture: true,
      },
    ]);
    const { removed } = registry.apply(present(makeNamespace("shop")));
    assert.deepEqual(
      removed.map(({ name }) => name),
      ["uid-of-shop-web-1"],
    );
  });

  it("replaces a pod that comes back under its name with another uid", () => {
    const registry = registryWith(makeNamespace("shop", ambient), makePod());
    const update = registry.apply(present(makePod({ metadata: { uid: "second" } })));
    const names = (type: string, list: typeof update.changed) =>
      list.filter(({ typeUrl }) => typeUrl === type).map(({ name }) => name);
    assert.deepEqual(names(CAPTURED_POD_TYPE, update.changed), ["second"]);
    assert.deepEqual(names(CAPTURED_POD_TYPE, update.removed), ["uid-of-shop-web-1"]);
  });
});
