import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import { object, peer, policy } from "#common/kubernetes/validate/validation-fixtures.ts";
import { DEFAULT_REGISTRY_OPTIONS } from "../registry/registry-options.ts";
import { judge } from "./judge.ts";
import { MeshPreview } from "./mesh-preview.ts";
import { parseReview, type Verdict } from "./review.ts";
import { reviewOf } from "./webhook-fixture.ts";

const IN_SHOP = { namespace: "shop" };
const wrong = policy({ action: "DNEY" }, IN_SHOP);
const waypoint = {
  ...object("gateway.networking.k8s.io/v1", "Gateway"),
  metadata: { name: "waypoint", namespace: "shop" },
  spec: {
    gatewayClassName: "istio-waypoint",
    listeners: [{ name: "mesh", port: 15008, protocol: "HBONE" }],
  },
};
const service = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "api", namespace: "shop" },
  spec: { ports: [{ port: 80 }] },
};

/** What is decided in a mesh of these objects. */
function decide(object: unknown, more: object = {}, mesh: readonly object[] = []): Verdict {
  const preview = new MeshPreview(DEFAULT_REGISTRY_OPTIONS);
  preview.apply(
    (mesh as KubernetesObject[]).map((each) => {
      const { kind, metadata } = each;
      return { key: `${kind}/${metadata.namespace}/${metadata.name}`, kind, object: each };
    }),
  );
  const { request } = parseReview(JSON.stringify(reviewOf(object, more)));
  assert.ok(request);
  return judge(request, preview);
}

test("a wrong object is refused when it is made and when it is changed", () => {
  for (const operation of ["CREATE", "UPDATE"]) {
    const { allowed, message } = decide(wrong, { operation, oldObject: policy({}) });
    assert.equal(allowed, false);
    assert.match(message ?? "", /^spec\.action: "DNEY" is none of .* \(did you mean DENY\?\)$/);
  }
});

test("nothing that goes away is held up, however wrong it is", () => {
  assert.ok(decide(wrong, { operation: "DELETE", object: null, oldObject: wrong }).allowed);
  assert.ok(decide(wrong, { operation: "CONNECT" }).allowed);
  const leaving = policy({ action: "DNEY" }, { deletionTimestamp: "2026-01-31T08:00:00Z" });
  assert.ok(decide(leaving, { operation: "UPDATE", oldObject: wrong }).allowed);
});

test("what was let in wrong can still be annotated, and have its status written", () => {
  const annotated = policy({ action: "DNEY" }, { ...IN_SHOP, annotations: { note: "look" } });
  assert.ok(decide(annotated, { operation: "UPDATE", oldObject: wrong }).allowed);
  assert.ok(decide(wrong, { operation: "UPDATE", subResource: "status" }).allowed);
  const labelled = policy({ action: "DNEY" }, { ...IN_SHOP, labels: { a: "b" } });
  assert.equal(decide(labelled, { operation: "UPDATE", oldObject: wrong }).allowed, false);
});

test("a name that is yet to be made does not count as missing", () => {
  const { metadata: _, ...unnamed } = policy({});
  const generated = { ...unnamed, metadata: { generateName: "deny-", namespace: "shop" } };
  assert.ok(decide(generated, { name: "" }).allowed);
});

test("at most five problems are told, and the others counted", () => {
  const ports = Array.from({ length: 9 }, (_, i) => `p${i}`);
  const { message } = decide(policy({ rules: [{ to: [{ operation: { ports } }] }] }));
  assert.equal(message?.split("; ").length, 6);
  assert.match(message ?? "", /; and 4 more$/);
});

test("what is accepted but does nothing, or less than it seems, is said as a warning", () => {
  const warnings = (value: object, ...mesh: object[]) => {
    const verdict = decide(value, {}, mesh);
    assert.ok(verdict.allowed, verdict.message ?? "");
    return verdict.warnings.join("\n");
  };
  const target = { targetRefs: [{ kind: "Service", group: "", name: "api" }] };
  assert.match(warnings(policy(target, IN_SHOP)), /Service shop\/api does not exist yet/);
  assert.equal(warnings(policy(target, IN_SHOP), service), "");
  const l7 = policy({ rules: [{ to: [{ operation: { methods: ["GET"] } }] }] }, IN_SHOP);
  assert.match(warnings(l7), /methods/);
  assert.equal(warnings(peer({ mtls: { mode: "STRICT" } })), "");
  assert.match(warnings(peer({ selector: {} })), /^spec\.selector: has no labels/);
  const route = (parent: object) => ({
    ...object("gateway.networking.k8s.io/v1", "HTTPRoute"),
    metadata: { name: "r", namespace: "shop" },
    spec: { parentRefs: [parent], rules: [{ backendRefs: [{ name: "api", port: 80 }] }] },
  });
  const parent = { kind: "Service", group: "", name: "api" };
  assert.match(warnings(route(parent)), /Service shop\/api does not exist yet/);
  assert.equal(warnings(route(parent), service), "");
});

test("Gateways and routes of other implementations are none of ours", () => {
  const gateway = (gatewayClassName: string) => ({
    ...object("gateway.networking.k8s.io/v1", "Gateway"),
    metadata: { name: "edge", namespace: "shop" },
    spec: { gatewayClassName, listeners: [{ name: "http", port: 80, protocol: "HTTP" }] },
  });
  assert.deepEqual(decide(gateway("nginx")), { allowed: true, warnings: [] });
  assert.match(decide(gateway("istio-waypoint")).message ?? "", /needs a listener of HBONE/);
  const route = (name: string) => ({
    ...object("gateway.networking.k8s.io/v1", "HTTPRoute"),
    metadata: { name: "r", namespace: "shop" },
    spec: { parentRefs: [{ name }], rules: [{ timeouts: { request: "5 seconds" } }] },
  });
  assert.ok(decide(route("edge"), {}, [waypoint]).allowed);
  assert.match(decide(route("waypoint"), {}, [waypoint]).message ?? "", /timeouts\.request/);
});

test("namespaces and services are never refused: labels alone are remarked upon", () => {
  const namespace = (labels: object) => object("v1", "Namespace", {}, { name: "shop", labels });
  const typo = decide(namespace({ "istio.io/dataplane-mod": "ambient" }));
  assert.ok(typo.allowed);
  assert.match(typo.warnings.join(), /did you mean istio\.io\/dataplane-mode\?/);
  const uses = namespace({ "istio.io/use-waypoint": "waypoint" });
  assert.match(decide(uses).warnings.join(), /Gateway shop\/waypoint does not exist yet/);
  assert.deepEqual(decide(uses, {}, [waypoint]).warnings, []);
  const broken = { ...service, spec: { ports: [{ port: 0 }], type: "Nothing" } };
  assert.deepEqual(decide(broken), { allowed: true, warnings: [] });
});

test("kinds that nobody reads pass", () => {
  assert.ok(decide(object("networking.istio.io/v1", "Sidecar", { spec: 7 })).allowed);
});
