import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ServiceEntry } from "#common/kubernetes/objects.ts";
import type { Service } from "#common/model/service.ts";
import {
  makeNamespace,
  makePod,
  makeServiceEntry,
  makeWorkloadEntry,
  present,
  registryWith,
  servicesOf,
  workloadsOf,
} from "./registry-fixtures.ts";

const only = (entry: ServiceEntry): Service => {
  const [service, ...more] = servicesOf(registryWith(entry).resources);
  assert.equal(more.length, 0);
  assert.ok(service);
  return service;
};

describe("a ServiceEntry", () => {
  it("is one service per host, with its addresses, blocks, ports and names", () => {
    const entry = makeServiceEntry("api", {
      hosts: ["api.example.com", "*.cdn.example.com"],
      addresses: ["192.0.2.1", "198.51.100.0/24", "2001:db8::/64", "192.0.2.1/32"],
      ports: [
        { number: 443, name: "tls", protocol: "TLS", targetPort: 8443 },
        { number: 53, name: "dns", protocol: "UDP" },
      ],
      subjectAltNames: ["spiffe://cluster.local/ns/shop/sa/api"],
    });
    const services = servicesOf(registryWith(entry).resources);
    assert.deepEqual(services.map(({ hostname }) => hostname).sort(), [
      "*.cdn.example.com",
      "api.example.com",
    ]);
    for (const service of services) {
      const texts = service.addresses.map(({ ip, cidr }) => (cidr ? `${ip}/${cidr.length}` : ip));
      assert.deepEqual(texts, ["192.0.2.1", "198.51.100.0/24", "2001:db8::/64"]);
      assert.deepEqual(service.ports, [{ servicePort: 443, targetPort: 8443, appProtocol: "tls" }]);
      assert.deepEqual(service.subjectAltNames, entry.spec.subjectAltNames);
      assert.equal(service.name, "api");
      assert.equal(service.canonical, true);
    }
  });

  it("is found by its single addresses, not by a block's first one", () => {
    const { resources } = registryWith(
      makeServiceEntry("api", { addresses: ["192.0.2.1", "198.51.100.0/24"] }),
    );
    const [service] = [...resources.all("type.googleapis.com/istio.workload.Address")];
    assert.deepEqual(service?.aliases, ["/192.0.2.1"]);
  });

  it("without resolution lets connections go where they were going", () => {
    const { loadBalancing, addresses } = only(
      makeServiceEntry("raw", { resolution: "NONE", addresses: ["192.0.2.0/24"] }),
    );
    assert.equal(loadBalancing?.mode, "passthrough");
    assert.equal(loadBalancing?.healthPolicy, "allow-all");
    assert.equal(addresses.length, 1);
  });

  it("is spread as its annotation says, else as its namespace's does", () => {
    const annotation = (value: string) => ({
      annotations: { "networking.istio.io/traffic-distribution": value },
    });
    const shop = makeNamespace("shop");
    const registry = registryWith(shop, makeServiceEntry("api", {}));
    const preference = () => {
      const [service] = servicesOf(registry.resources);
      return service?.loadBalancing?.routingPreference.at(-1);
    };
    assert.equal(preference(), undefined);
    registry.apply(
      present({ ...shop, metadata: { ...shop.metadata, ...annotation("PreferClose") } }),
    );
    assert.equal(preference(), "zone");
    registry.apply(present(makeServiceEntry("api", {}, annotation("PreferSameNode"))));
    assert.equal(preference(), "node");
  });

  it("that needs a waypoint is left out, and its status says so", () => {
    const registry = registryWith();
    const entry = makeServiceEntry("dyn", { resolution: "DYNAMIC_DNS", hosts: ["*.example.com"] });
    const { statuses } = registry.apply(present(entry));
    assert.deepEqual(servicesOf(registry.resources), []);
    const [condition] = statuses[0]?.conditions ?? [];
    assert.equal(condition?.status, "False");
    assert.equal(condition?.reason, "UnsupportedValue");
    assert.match(condition?.message ?? "", /spec\.resolution: DYNAMIC_DNS needs a waypoint/);
  });

  const exported: [readonly string[] | undefined, string, RegExp][] = [
    [undefined, "public", /^in force$/],
    [["*"], "public", /^in force$/],
    [["."], "namespace", /^in force$/],
    [["shop"], "namespace", /^in force$/],
    [[".", "bank"], "namespace", /only its own namespace sees it, not bank/],
    [["bank"], "none", /nobody sees it, not bank/],
    [["~"], "none", /^exported to nobody$/],
  ];
  for (const [exportTo, visibility, message] of exported) {
    it(`exported to ${exportTo ?? "nobody in particular"} is seen by ${visibility}`, () => {
      const registry = registryWith();
      const entry = makeServiceEntry("api", { ...(exportTo && { exportTo }) });
      const { statuses } = registry.apply(present(entry));
      const seen = servicesOf(registry.resources).map((service) => service.visibility);
      assert.deepEqual(seen, visibility === "none" ? [] : [visibility]);
      assert.match(statuses[0]?.conditions[0]?.message ?? "", message);
    });
  }
});

describe("the endpoints of a ServiceEntry", () => {
  const key = "shop/api.example.com";

  it("that it lists are workloads of their own", () => {
    const entry = makeServiceEntry("api", {
      endpoints: [
        {
          address: "192.0.2.7",
          ports: { http: 8080 },
          weight: 5,
          locality: "eu/west/a",
          serviceAccount: "api",
        },
        { address: "2001:db8::7", network: "other" },
      ],
    });
    const [first, second] = workloadsOf(registryWith(entry).resources);
    assert.equal(first?.uid, "Kubernetes/networking.istio.io/ServiceEntry/shop/api/192.0.2.7");
    assert.deepEqual(first?.addresses, ["192.0.2.7"]);
    assert.deepEqual(first?.services.get(key), [
      { servicePort: 80, targetPort: 8080, appProtocol: "http11" },
    ]);
    assert.equal(first?.capacity, 5);
    assert.deepEqual(first?.locality, { region: "eu", zone: "west", subzone: "a" });
    assert.equal(first?.serviceAccount, "api");
    assert.equal(first?.tunnelProtocol, "none");
    assert.equal(second?.network, "other");
    assert.equal(second?.capacity, 1);
    assert.equal(second?.services.get(key)?.[0]?.targetPort, 80);
  });

  it("resolved by DNS are names: those that it lists, else its hosts", () => {
    const named = (entry: ServiceEntry) =>
      workloadsOf(registryWith(entry).resources).map(({ hostname, addresses, services }) => [
        hostname,
        addresses.length,
        [...services.keys()].join(),
      ]);
    const hosts = ["api.example.com", "www.example.com"];
    assert.deepEqual(named(makeServiceEntry("api", { resolution: "DNS", hosts })), [
      ["api.example.com", 0, "shop/api.example.com"],
      ["www.example.com", 0, "shop/www.example.com"],
    ]);
    const endpoints = [{ address: "origin.example.net" }];
    assert.deepEqual(named(makeServiceEntry("api", { resolution: "DNS", hosts, endpoints })), [
      ["origin.example.net", 0, "shop/api.example.com,shop/www.example.com"],
    ]);
  });

  it("that it selects are pods and WorkloadEntries of its namespace", () => {
    const entry = makeServiceEntry("api", {
      workloadSelector: { labels: { app: "api" } },
      ports: [{ number: 80, name: "http", targetPort: 9000 }],
    });
    const containers = [{ name: "c", image: "i", ports: [{ name: "http", containerPort: 8080 }] }];
    const labels = { app: "api" };
    const { resources } = registryWith(
      entry,
      makePod({ name: "named", labels, ips: ["10.0.0.1"], spec: { containers } }),
      makePod({ name: "plain", labels, ips: ["10.0.0.2"] }),
      makePod({ name: "alien", labels, namespace: "bank", ips: ["10.0.0.3"] }),
      makeWorkloadEntry("vm", { address: "192.0.2.7", labels, ports: { http: 7000 } }),
      makeWorkloadEntry("other", { address: "192.0.2.8" }, { labels: { app: "web" } }),
    );
    const targets = workloadsOf(resources).map(({ name, services }) => [
      name,
      services.get(key)?.[0]?.targetPort,
    ]);
    assert.deepEqual(Object.fromEntries(targets), {
      named: 8080,
      plain: 9000,
      alien: undefined,
      vm: 7000,
      other: undefined,
    });
  });

  it("follow the selector, the labels and the port in every order of change", () => {
    const entry = (app: string, targetPort: number) =>
      makeServiceEntry("api", {
        workloadSelector: { labels: { app } },
        ports: [{ number: 80, name: "x", targetPort }],
      });
    const registry = registryWith(
      entry("a", 1),
      makePod({ labels: { app: "a" } }),
      makeWorkloadEntry("vm", { address: "192.0.2.7" }, { labels: { app: "b" } }),
    );
    const targets = () =>
      workloadsOf(registry.resources)
        .map(({ name, services }) => `${name}:${services.get(key)?.[0]?.targetPort ?? "-"}`)
        .sort();
    assert.deepEqual(targets(), ["vm:-", "web-1:1"]);
    registry.apply(present(entry("b", 2)));
    assert.deepEqual(targets(), ["vm:2", "web-1:-"]);
    registry.apply(present(makePod({ labels: { app: "b" } })));
    assert.deepEqual(targets(), ["vm:2", "web-1:2"]);
    registry.apply([{ key: "ServiceEntry/shop/api", kind: "ServiceEntry" }]);
    assert.deepEqual(targets(), ["vm:-", "web-1:-"]);
  });

  it("at a pod's address are that pod, in its own namespace; elsewhere they are refused", () => {
    const entry = makeServiceEntry("api", { endpoints: [{ address: "10.0.1.1" }] });
    const registry = registryWith(entry);
    registry.apply(present(makePod({ ips: ["10.0.1.1"] })));
    const [pod, ...more] = workloadsOf(registry.resources);
    assert.equal(more.length, 0);
    assert.equal(pod?.uid, "Kubernetes//Pod/shop/web-1");
    assert.equal(pod?.services.size, 1);
    const alien = makeServiceEntry(
      "api",
      { endpoints: [{ address: "10.0.1.1" }] },
      {
        namespace: "bank",
      },
    );
    const { statuses } = registry.apply(present(alien));
    assert.equal(workloadsOf(registry.resources).length, 1);
    const [condition] = statuses.find(({ namespace }) => namespace === "bank")?.conditions ?? [];
    assert.equal(condition?.reason, "PartiallyInvalid");
    assert.match(
      condition?.message ?? "",
      /endpoints\[0\]\.address: 10\.0\.1\.1 is the address of/,
    );
  });
});
