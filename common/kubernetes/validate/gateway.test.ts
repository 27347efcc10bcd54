/** Gateways, GatewayClasses and projected volumes: each by what is wrong when one part changes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { validateObject } from "#common/kubernetes/validate/validate-object.ts";
import {
  type Json,
  object,
  pod,
  testFine,
  testWrong,
} from "#common/kubernetes/validate/validation-fixtures.ts";

const V1 = "gateway.networking.k8s.io/v1";
const listener = { name: "mesh", port: 15_008, protocol: "HBONE" };
const gateway = (spec: Json = {}, metadata: Json = {}) =>
  object(
    V1,
    "Gateway",
    { spec: { gatewayClassName: "istio-waypoint", listeners: [listener], ...spec } },
    metadata,
  );
const allowing = (namespaces: Json) =>
  gateway({ listeners: [{ ...listener, allowedRoutes: { namespaces } }] });
const projected = (source: Json) =>
  pod({ volumes: [{ name: "v", projected: { sources: [source] } }] });

testFine([
  ["a waypoint", gateway({}, { labels: { "istio.io/waypoint-for": "all" } })],
  ["a waypoint for namespaces by label", allowing({ from: "Selector", selector: {} })],
  [
    "an ingress gateway with what we do not read",
    gateway({
      gatewayClassName: "nginx",
      listeners: [
        {
          name: "https",
          port: 443,
          protocol: "HTTPS",
          hostname: "*.a.b",
          tls: { mode: "Terminate" },
        },
      ],
    }),
  ],
  ["a class", object(V1, "GatewayClass", { spec: { controllerName: "example.com/c" } })],
  [
    "a token, a ConfigMap and facts in one volume",
    pod({
      volumes: [
        {
          name: "v",
          projected: {
            sources: [
              { serviceAccountToken: { path: "token", audience: "a", expirationSeconds: 600 } },
              { configMap: { name: "c", items: [{ key: "k", path: "d/k" }] } },
              { downwardAPI: { items: [{ path: "n", fieldRef: { fieldPath: "metadata.name" } }] } },
            ],
          },
        },
      ],
    }),
  ],
]);

testWrong([
  ["no listener", gateway({ listeners: [] }), [/^error spec\.listeners: /]],
  [
    "a waypoint without HBONE",
    gateway({ listeners: [{ ...listener, protocol: "HTTP" }] }),
    [/^error spec\.listeners: a waypoint needs a listener of HBONE \(write protocol: HBONE/],
  ],
  [
    "HBONE on another port",
    gateway({ listeners: [{ ...listener, port: 15_009 }] }),
    [/^error spec\.listeners\[0\]\.port: is not the port/],
  ],
  [
    "a traffic type that is none",
    gateway({}, { labels: { "istio.io/waypoint-for": "services" } }),
    [/^error metadata\.labels\["istio\.io\/waypoint-for"\]: "services" is no kind of traffic/],
  ],
  [
    "a waypoint that none can use",
    gateway({}, { name: "none" }),
    [/^error metadata\.name: no obj/],
  ],
  [
    "two listeners of one name",
    gateway({ listeners: [listener, listener] }),
    [/^error spec\.listeners\[1\]/],
  ],
  [
    "an unknown field that might narrow",
    gateway({ listeners: [{ ...listener, allowedRoute: {} }] }),
    [/^error spec\.listeners\[0\]\.allowedRoute: /],
  ],
  ["Selector without one", allowing({ from: "Selector" }), [/namespaces\.selector: is required/]],
  ["a selector that is not read", allowing({ selector: {} }), [/^warning .*is not read/]],
  ["a source of nothing", projected({}), [/^error spec\.volumes\[0\]\.projected\.sources\[0\]/]],
  [
    "a path out of the volume",
    projected({ serviceAccountToken: { path: "../etc/passwd" } }),
    [/^error .*path: "\.\.\/etc\/passwd" is no path below the volume/],
  ],
]);

test("Istio's own Gateway is another kind, which nothing reads", () => {
  const { object: found, unknownKind } = validateObject(
    object("networking.istio.io/v1", "Gateway", { spec: { servers: [] } }),
  );
  assert.equal(found, undefined);
  assert.equal(unknownKind?.name, "kind Gateway of networking.istio.io");
});
