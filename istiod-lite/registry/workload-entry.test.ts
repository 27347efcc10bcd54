import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { WorkloadEntry } from "#common/kubernetes/objects.ts";
import {
  makeService,
  makeServiceEntry,
  makeWorkloadEntry,
  onlyWorkload,
  present,
  registryWith,
  workloadsOf,
} from "./registry-fixtures.ts";

describe("a WorkloadEntry", () => {
  it("is a workload with all that it says of itself", () => {
    const workload = onlyWorkload(
      makeWorkloadEntry(
        "vm",
        {
          address: "192.0.2.7",
          network: "vm-net",
          locality: "eu/west",
          weight: 7,
          serviceAccount: "db",
          labels: { app: "db", version: "v1" },
        },
        { labels: { version: "v2", "networking.istio.io/tunnel": "http" } },
      ),
    );
    assert.equal(workload.uid, "Kubernetes/networking.istio.io/WorkloadEntry/shop/vm");
    assert.deepEqual(workload.addresses, ["192.0.2.7"]);
    assert.equal(workload.network, "vm-net");
    assert.deepEqual(workload.locality, { region: "eu", zone: "west", subzone: "" });
    assert.equal(workload.capacity, 7);
    assert.equal(workload.serviceAccount, "db");
    assert.equal(workload.canonicalName, "db");
    assert.equal(workload.canonicalRevision, "v2");
    assert.equal(workload.tunnelProtocol, "hbone");
    assert.equal(workload.nativeTunnel, true);
    assert.equal(workload.status, "healthy");
  });

  it("with a name instead of an address is looked up by the proxies", () => {
    const workload = onlyWorkload(makeWorkloadEntry("vm", { address: "db.example.com" }));
    assert.deepEqual(workload.addresses, []);
    assert.equal(workload.hostname, "db.example.com");
    assert.equal(workload.tunnelProtocol, "none");
  });

  it("without an address is left out, and its status says why", () => {
    const registry = registryWith();
    const { statuses } = registry.apply(present(makeWorkloadEntry("vm", { network: "far" })));
    assert.deepEqual(workloadsOf(registry.resources), []);
    assert.equal(statuses[0]?.conditions[0]?.reason, "UnsupportedValue");
  });

  it("serves Kubernetes Services that select it: named ports only where it has them", () => {
    const service = makeService("web", {
      selector: { app: "web" },
      ports: [
        { name: "http", port: 80, targetPort: 8080 },
        { name: "admin", port: 81, targetPort: "ops" },
        { name: "debug", port: 82, targetPort: "dbg" },
      ],
    });
    const entry = makeWorkloadEntry("vm", {
      address: "192.0.2.7",
      labels: { app: "web" },
      ports: { http: 7000, ops: 7001 },
    });
    const ports = onlyWorkload(service, entry).services.get("shop/web.shop.svc.cluster.local");
    assert.deepEqual(
      ports?.map(({ servicePort, targetPort }) => [servicePort, targetPort]),
      [
        [80, 7000],
        [81, 7001],
      ],
    );
  });

  it("whose agent reports it unhealthy is no endpoint for the healthy only", () => {
    const entry: WorkloadEntry = {
      ...makeWorkloadEntry("vm", { address: "192.0.2.7" }),
      status: { conditions: [{ type: "Healthy", status: "False" }] },
    };
    assert.equal(onlyWorkload(entry).status, "unhealthy");
  });

  it("is listed by the policies that select it", () => {
    const policy = {
      apiVersion: "security.istio.io/v1" as const,
      kind: "AuthorizationPolicy" as const,
      metadata: { name: "p", namespace: "shop" },
      spec: { selector: { matchLabels: { app: "db" } }, rules: [{}] },
    };
    const registry = registryWith(
      makeWorkloadEntry("vm", { address: "192.0.2.7", labels: { app: "db" } }),
    );
    registry.apply(present(policy));
    assert.deepEqual(workloadsOf(registry.resources)[0]?.authorizationPolicies, ["shop/p"]);
  });
});

describe("a push", () => {
  const api = makeServiceEntry("api", { endpoints: [{ address: "192.0.2.7" }] });
  const vm = makeWorkloadEntry("vm", { address: "192.0.2.8", labels: { app: "x" } });

  it("has what changed and nothing else", () => {
    const registry = registryWith(api, vm, makeServiceEntry("other", {}));
    const { changed, removed } = registry.apply(
      present(makeWorkloadEntry("vm", { address: "192.0.2.9", labels: { app: "x" } })),
    );
    assert.deepEqual(
      changed.map(({ name }) => name),
      ["Kubernetes/networking.istio.io/WorkloadEntry/shop/vm"],
    );
    assert.deepEqual(removed, []);
    const ports = [{ number: 81, name: "http" }];
    const edited = registry.apply(present({ ...api, spec: { ...api.spec, ports } }));
    assert.deepEqual(
      edited.changed.map(({ name }) => name),
      ["Kubernetes/networking.istio.io/ServiceEntry/shop/api/192.0.2.7", "shop/api.example.com"],
    );
  });

  it("has nothing after an edit that no proxy needs to know", () => {
    const registry = registryWith(api, vm);
    for (const object of [api, vm]) {
      const annotations = { note: "edited" };
      const edited = { ...object, metadata: { ...object.metadata, annotations } };
      const { changed, removed } = registry.apply(present(edited));
      assert.deepEqual([changed, removed], [[], []]);
    }
  });
});
