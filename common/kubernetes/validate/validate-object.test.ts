/** What holds for objects of every kind. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { validateObject } from "#common/kubernetes/validate/validate-object.ts";
import {
  issuesOf,
  object,
  pod,
  service,
  slice,
  source,
  testWrong,
} from "#common/kubernetes/validate/validation-fixtures.ts";

testWrong([
  ["no object at all", [1], [/^error : must be a Kubernetes object/]],
  ["no kind", { apiVersion: "v1" }, [/^error kind: is required but missing/]],
  ["no apiVersion", { kind: "Pod" }, [/^error apiVersion: is required/]],
  [
    "another version",
    object("apps/v1beta1", "Deployment"),
    [/^error apiVersion: .*write apiVersion: apps\/v1\)/],
  ],
  [
    "the wrong group",
    object("v1", "AuthorizationPolicy"),
    [/^error apiVersion: .*security\.istio\.io\/v1\)/],
  ],
  ["no metadata", { apiVersion: "v1", kind: "Namespace" }, [/^error metadata: is required/]],
  [
    "a name in capitals",
    object("v1", "Namespace", {}, { name: "Shop" }),
    [/^error metadata\.name: "Shop" is no DNS label/],
  ],
  [
    "a namespace of 64 letters",
    object("v1", "Namespace", {}, { name: "a".repeat(64) }),
    [/no DNS label/],
  ],
  [
    "a path as name",
    object("v1", "Pod", { spec: pod({}).spec }, { name: "../x" }),
    [/^error metadata\.name/],
  ],
  [
    "a service that begins with a digit",
    { ...service({}), metadata: { name: "1a" } },
    [/no service name/],
  ],
  [
    "a node in a namespace",
    object("v1", "Node", {}, { namespace: "a" }),
    [/^error metadata\.namespace: .*in no namespace/],
  ],
  [
    "a number as label",
    object("v1", "Namespace", {}, { labels: { a: 1 } }),
    [/^error metadata\.labels\.a: must be text, not the number 1 \(quote it: "1"\)$/],
  ],
  [
    "a label key with a space",
    object("v1", "Namespace", {}, { labels: { "a b": "x" } }),
    [/no label key/],
  ],
  [
    "a label key with two slashes",
    object("v1", "Namespace", {}, { labels: { "a/b/c": "x" } }),
    [/no label key/],
  ],
  [
    "a label value with a slash",
    object("v1", "Namespace", {}, { labels: { a: "x/y" } }),
    [/no label value/],
  ],
  [
    "a label without value",
    object("v1", "Namespace", {}, { labels: { a: null } }),
    [/^error metadata\.labels\.a: has no value/],
  ],
  [
    "a misspelt mesh label",
    object("v1", "Namespace", {}, { labels: { "istio.io/dataplan-mode": "ambient" } }),
    [/^warning metadata\.labels\["istio\.io\/dataplan-mode"\]: .*mean istio\.io\/dataplane-mode\?/],
  ],
  [
    "a misspelt mesh mode",
    object("v1", "Namespace", {}, { labels: { "istio.io/dataplane-mode": "ambiant" } }),
    [/^warning .*write ambient or none/],
  ],
]);

test("namespaced objects get the namespace default, cluster-scoped ones none", () => {
  assert.equal(validateObject(service({})).object?.metadata.namespace, "default");
  assert.equal(validateObject(object("v1", "Node")).object?.metadata.namespace, undefined);
});

test("nulls of core kinds are left out, as an API server does", () => {
  const value = object(
    "v1",
    "Pod",
    {
      spec: { nodeName: null, containers: [{ name: "a", image: "i", ports: null }] },
    },
    { creationTimestamp: null },
  );
  assert.deepEqual(validateObject(value).object, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "x", namespace: "default" },
    spec: { containers: [{ name: "a", image: "i" }] },
  });
});

test("an EndpointSlice whose endpoints are null has none, as API servers write it", () => {
  const { object: read } = validateObject(slice({ endpoints: null, ports: null }));
  assert.ok(read?.kind === "EndpointSlice");
  assert.deepEqual(read.endpoints, []);
});

test("validation does not change its argument", () => {
  const value = service({ selector: null });
  const before = structuredClone(value);
  validateObject(value);
  assert.deepEqual(value, before);
});

test("all problems of an object are reported, up to a bound that says so", () => {
  const issues = issuesOf(source({ ipBlocks: Array(500).fill("x") }));
  assert.equal(issues.length, 21);
  assert.match(issues.at(-1) ?? "", /there are more problems/);
});

test("kinds that nothing reads are named with their group, near misses with their spelling", () => {
  const nameOf = (apiVersion: string, kind: string) =>
    validateObject(object(apiVersion, kind)).unknownKind;
  assert.deepEqual(nameOf("v1", "Secret"), { name: "kind Secret" });
  assert.deepEqual(nameOf("serving.knative.dev/v1", "Service"), {
    name: "kind Service of serving.knative.dev",
  });
  assert.deepEqual(nameOf("security.istio.io/v1", "AuthorisationPolicy"), {
    name: "kind AuthorisationPolicy of security.istio.io",
    hint: "did you mean AuthorizationPolicy?",
  });
  assert.deepEqual(nameOf("v1", "constructor"), { name: "kind constructor" });
});

test("a key __proto__ from any reader is refused and pollutes nothing", () => {
  const value: unknown = JSON.parse(
    '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"x","__proto__":{"uid":"u"}}}',
  );
  assert.match(issuesOf(value).join(), /__proto__ is not supported/);
});
