/** A route of a client's namespace never changes what others get. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "yaml";
import { objectKey } from "#common/kubernetes/objects.ts";
import { validateObject } from "#common/kubernetes/validate/validate-object.ts";
import { createContributors } from "../create-contributors.ts";
import { DEFAULT_REGISTRY_OPTIONS } from "../registry-options.ts";
import type { Mesh, ServiceFacts } from "./contributions.ts";

const PORTS = [
  { port: 80, name: "http", protocol: "http" },
  { port: 90, name: "tcp", protocol: "tcp" },
] as const;

function service(name: string): ServiceFacts {
  const hostname = `${name}.shop.svc.cluster.local`;
  return { kind: "Service", namespace: "shop", name, hostname, ports: PORTS, labels: {} };
}

const API = service("api");
const V1 = service("v1");
const all = [API, V1];
const mesh: Mesh = {
  service: (namespace, hostname) =>
    all.find((each) => each.namespace === namespace && each.hostname === hostname),
  serviceByRef: (_kind, namespace, name) =>
    all.filter((each) => each.namespace === namespace && each.name === name),
  hasWaypoint: () => true,
  workloads: () => [],
  workloadsWith: () => [],
  namespaceLabels: () => ({}),
};

const VIRTUAL_SERVICE = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: everybody, namespace: shop }
spec:
  hosts: [api]
  http: [{ route: [{ destination: { host: v1 } }] }]
  tcp: [{ match: [{ port: 90 }], route: [{ destination: { host: v1 } }] }]
`;

const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: api, namespace: shop }
spec: { ports: [{ name: http, port: 80 }, { name: tcp, port: 90 }] }
`;

const route = (kind: string, namespace: string) => `
apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: { name: mine, namespace: ${namespace} }
spec:
  parentRefs: [{ group: "", kind: Service, name: api, namespace: shop }]
  rules: [{ backendRefs: [{ name: api, namespace: shop, port: 80 }] }]
`;

function routesOf(port: number, ...yamls: readonly string[]) {
  const { routes } = createContributors(DEFAULT_REGISTRY_OPTIONS);
  for (const yaml of [SERVICE, ...yamls]) {
    const { object } = validateObject(parse(yaml));
    assert.ok(object);
    const change = { key: objectKey(object), kind: object.kind, object };
    for (const each of routes) each.apply(change, mesh);
  }
  const found = routes.map((each) => each.routesOf(API, port, mesh, "shop"));
  const first = found.find((each) => each !== undefined);
  const rules = [...(first?.http?.rules ?? []), ...(first?.tcp ?? [])];
  return {
    rules: rules.map(({ origin, consumerNamespace: who = "all" }) => `${origin.kind} for ${who}`),
    http: first?.http,
    statuses: routes.flatMap((each) => each.takeStatuses(mesh)),
  };
}

const CONSUMERS_HTTP = "HTTPRoute for web";
const CONSUMERS_TCP = "TCPRoute for web";

test("a consumer's routes stand before a VirtualService, which stays in force for the others", () => {
  const { rules, http, statuses } = routesOf(80, VIRTUAL_SERVICE, route("HTTPRoute", "web"));
  assert.deepEqual(rules, [CONSUMERS_HTTP, "VirtualService for all"]);
  assert.deepEqual([http?.precedence, http?.onlyConsumers], ["listed", undefined]);
  const told = JSON.stringify(statuses.find(({ kind }) => kind === "VirtualService")?.conditions);
  assert.doesNotMatch(told, /False/);
  const tcp = routesOf(90, VIRTUAL_SERVICE, route("TCPRoute", "web"));
  assert.deepEqual(tcp.rules, [CONSUMERS_TCP, "VirtualService for all"]);
});

test("without routes for everybody the others have the service itself", () => {
  const { rules, http } = routesOf(80, route("HTTPRoute", "web"));
  assert.deepEqual(rules, [CONSUMERS_HTTP]);
  assert.equal(http?.onlyConsumers, true);
});

test("a producer's route takes the place of a VirtualService", () => {
  const both = [VIRTUAL_SERVICE, route("HTTPRoute", "web"), route("HTTPRoute", "shop")];
  const { rules, http } = routesOf(80, ...both);
  assert.deepEqual(rules.toSorted(), ["HTTPRoute for all", CONSUMERS_HTTP]);
  assert.equal(http?.onlyConsumers, undefined);
});
