import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import { decodeAuthorization } from "#common/xds/decode-authorization.ts";
import { AUTHORIZATION_TYPE, WAYPOINT_TYPE } from "#common/xds/type-urls.ts";
import {
  absent,
  makeNamespace,
  makePod,
  makeService,
  makeServiceEntry,
  present,
  registryWith,
  servicesOf,
  workloadsOf,
} from "../registry-fixtures.ts";
import { makeGateway, toldTo, waypointBackend } from "./waypoint-fixtures.ts";

const uses = { "istio.io/use-waypoint": "waypoint" };
const web = makeService(
  "web",
  { clusterIP: "10.96.0.1", selector: { app: "web" }, ports: [{ name: "http", port: 80 }] },
  { labels: uses },
);
const webPod = makePod({ labels: { app: "web" } });
const [waypointService, waypointPod] = waypointBackend();
const otelProvider: KubernetesObject = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "istio", namespace: "istio-system" },
  data: {
    mesh: `
extensionProviders:
- name: otel
  opentelemetry: { service: otel.observe.svc.cluster.local, port: 4317 }
`,
  },
};
const all = [makeNamespace("shop"), web, webPod, makeGateway(), waypointService, waypointPod];

const named = <T extends { readonly name: string }>(list: readonly T[], name: string) =>
  list.find((each) => each.name === name);

describe("a service with a waypoint", () => {
  it("leads to the waypoint's hostname at 15008; the waypoint's own service and pods do not", () => {
    const registry = registryWith(...all, ...waypointBackend("other"));
    registry.apply(present(makeNamespace("shop", uses)));
    const services = servicesOf(registry.resources);
    assert.deepEqual(named(services, "web")?.waypoint, {
      kind: "hostname",
      name: { namespace: "shop", hostname: "waypoint.shop.svc.cluster.local" },
      hboneMtlsPort: 15_008,
    });
    assert.equal(named(services, "waypoint")?.waypoint, undefined);
    const pod = named(workloadsOf(registry.resources), "waypoint-1");
    assert.equal(pod?.waypoint, undefined);
    assert.equal(pod?.tunnelProtocol, "hbone");
  });

  it("has its condition follow the waypoint's readiness, and loses it with the label", () => {
    const registry = registryWith(...all);
    const said = (...changes: Parameters<typeof registry.apply>[0]) =>
      registry
        .apply(changes)
        .statuses.filter(({ kind }) => kind === "Service")
        .map(({ name, conditions }) => `${name} ${conditions[0]?.reason}`);
    assert.deepEqual(said(...absent(waypointPod)), ["web WaypointIsNotReady"]);
    assert.deepEqual(registry.waypointsUnavailable, { "fail-open": 0, "fail-closed": 1 });
    assert.deepEqual(said(...present(waypointPod)), ["web WaypointAccepted"]);
    const bare = { ...web, metadata: { ...web.metadata, labels: {} } };
    assert.deepEqual(said(...present(bare)), ["web undefined"]);
    assert.deepEqual(registry.waypointsUnavailable, { "fail-open": 0, "fail-closed": 0 });
  });

  it("goes past a waypoint that is away where it may, and comes back to it", () => {
    const annotations = { "ambient.istio.io/waypoint-unavailable": "fail-open" };
    const registry = registryWith(...all, makeNamespace("shop"));
    registry.apply(present({ ...makeNamespace("shop"), metadata: { name: "shop", annotations } }));
    const address = () => named(servicesOf(registry.resources), "web")?.waypoint;
    assert.notEqual(address(), undefined);
    registry.apply(absent(waypointPod));
    assert.equal(address(), undefined);
    registry.apply(present(waypointPod));
    assert.notEqual(address(), undefined);
  });

  it("sees a namespace that is let in by its labels, and let go with them", () => {
    const gateway = makeGateway(
      "waypoint",
      { namespace: "infra" },
      { from: "Selector", selector: { matchLabels: { team: "a" } } },
    );
    const labels = { ...uses, "istio.io/use-waypoint-namespace": "infra" };
    const away = { ...web, metadata: { ...web.metadata, labels } };
    const registry = registryWith(away, gateway, ...waypointBackend("waypoint", "infra"));
    const reason = (name: Record<string, string>) =>
      registry.apply(present(makeNamespace("shop", name))).statuses[0]?.conditions[0]?.reason;
    assert.equal(reason({ team: "a" }), "WaypointAccepted");
    assert.equal(reason({ team: "b" }), "AttachmentDenied");
    assert.equal(toldTo(registry.resources, "infra/waypoint").size, 1);
  });
});

describe("a waypoint", () => {
  it("alone is told of itself, of its services, and of their backends", () => {
    const registry = registryWith(...all, makeGateway("idle"));
    const told = toldTo(registry.resources, "shop/waypoint");
    assert.deepEqual([...told.keys()].sort(), [
      "backend/shop/web.shop.svc.cluster.local",
      "gateway",
      "service/shop/web.shop.svc.cluster.local",
    ]);
    assert.deepEqual(told.get("service/shop/web.shop.svc.cluster.local"), {
      kind: "service",
      namespace: "shop",
      hostname: "web.shop.svc.cluster.local",
      serviceName: "web",
      addresses: ["10.96.0.1"],
      ports: [{ port: 80, protocol: "http" }],
      policies: { requestAuthentications: [], authorizations: [], rateLimits: [] },
    });
    assert.deepEqual([...toldTo(registry.resources, "shop/idle").keys()], ["gateway"]);
  });

  it("is told of a ServiceEntry's hosts and blocks", () => {
    const spec = { hosts: ["a.example", "b.example"], addresses: ["192.0.2.0/24", "198.51.100.1"] };
    const entry = makeServiceEntry("egress", spec, { labels: uses });
    const told = toldTo(registryWith(...all, entry).resources, "shop/waypoint");
    const service = told.get("service/shop/a.example");
    assert.deepEqual(service?.kind === "service" && service.addresses, [
      "198.51.100.1",
      "192.0.2.0/24",
    ]);
    assert.equal(told.has("backend/shop/b.example"), true);
  });

  it("is told of what its own telemetry calls, for as long as it does", () => {
    const collector = makeService(
      "otel",
      { clusterIP: "10.96.0.7", ports: [{ name: "grpc-otlp", port: 4317 }] },
      { namespace: "observe" },
    );
    const traces: KubernetesObject = {
      apiVersion: "telemetry.istio.io/v1",
      kind: "Telemetry",
      metadata: { name: "traces", namespace: "istio-system" },
      spec: { tracing: [{ providers: [{ name: "otel" }], randomSamplingPercentage: 100 }] },
    };
    const registry = registryWith(...all, collector, otelProvider, traces);
    const backend = "backend/observe/otel.observe.svc.cluster.local";
    const isTold = () => toldTo(registry.resources, "shop/waypoint").has(backend);
    assert.equal(isTold(), true);
    registry.apply(absent(traces));
    assert.equal(isTold(), false);
    registry.apply(present(traces));
    assert.equal(isTold(), true);
    registry.apply(absent(makeGateway()));
    assert.equal(registry.resources.count(WAYPOINT_TYPE), 0);
  });

  it("hears nothing where an endpoint comes or goes", () => {
    const registry = registryWith(...all);
    const pod = makePod({ name: "web-2", labels: { app: "web" }, ips: ["10.0.1.2"] });
    for (const changes of [present(pod), absent(pod), absent(webPod)]) {
      const { changed, removed } = registry.apply(changes);
      const heard = [...changed, ...removed].filter(({ typeUrl }) => typeUrl === WAYPOINT_TYPE);
      assert.deepEqual(heard, []);
    }
  });

  it("is told that a service is gone, and that it is itself", () => {
    const registry = registryWith(...all);
    const removed = registry.apply(absent(web)).removed.map(({ name }) => name);
    assert.ok(removed.includes("shop/waypoint/service/shop/web.shop.svc.cluster.local"));
    assert.ok(removed.includes("shop/waypoint/backend/shop/web.shop.svc.cluster.local"));
    registry.apply(absent(makeGateway()));
    assert.equal(registry.resources.count(WAYPOINT_TYPE), 0);
  });

  it("of another revision is nobody's here", () => {
    const gateway = makeGateway("waypoint", { labels: { "istio.io/rev": "canary" } });
    const registry = registryWith(web, gateway, waypointService, waypointPod);
    assert.equal(registry.resources.count(WAYPOINT_TYPE), 0);
    const again = registry.apply(present(gateway));
    assert.deepEqual([again.statuses, again.owned], [[], []]);
  });
});

describe("enforced traversal", () => {
  const annotations = { "ambient.istio.io/enforce-waypoint": "true" };
  const enforced = { ...web, metadata: { ...web.metadata, annotations } };
  const policies = (registry: ReturnType<typeof registryWith>) =>
    [...registry.resources.all(AUTHORIZATION_TYPE)].map(({ value }) => decodeAuthorization(value));

  it("denies the service's pods whatever is not the waypoint's identity", () => {
    const registry = registryWith(...all);
    registry.apply(present(enforced));
    const pod = named(workloadsOf(registry.resources), "web-1");
    assert.deepEqual(pod?.authorizationPolicies, ["shop/enforce-waypoint:shop.waypoint"]);
    const [policy] = policies(registry);
    assert.equal(policy?.action, "deny");
    assert.deepEqual(policy?.rules[0]?.clauses[0]?.matches[0]?.notPrincipals, [
      { kind: "exact", value: "cluster.local/ns/shop/sa/waypoint" },
    ]);
  });

  it("goes with the annotation, the label, or the last pod", () => {
    for (const change of [present(web), absent(enforced), absent(webPod)]) {
      const registry = registryWith(...all, enforced);
      assert.equal(policies(registry).length, 1);
      registry.apply(change);
      assert.deepEqual(policies(registry), []);
    }
  });

  it("knows the waypoint by another service account when its pods have one", () => {
    const registry = registryWith(...all, enforced);
    const moved = makePod({
      name: "waypoint-2",
      labels: { "gateway.networking.k8s.io/gateway-name": "waypoint" },
      ips: ["10.0.9.8"],
      spec: { serviceAccountName: "own" },
    });
    registry.apply(present(moved));
    const values = policies(registry)[0]?.rules[0]?.clauses[0]?.matches[0]?.notPrincipals;
    assert.deepEqual(
      values?.map((each) => ("value" in each ? each.value.split("/").at(-1) : "")),
      ["own", "waypoint"],
    );
  });
});
