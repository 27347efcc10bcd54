import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  makeNamespace,
  makeService,
  present,
  registryWith,
  servicesOf,
} from "./registry-fixtures.ts";

const HTTP = { name: "http", port: 80, targetPort: 8080 };

describe("services", () => {
  const only = (...args: Parameters<typeof makeService>) => {
    const [service] = servicesOf(registryWith(makeService(...args)).resources);
    assert.ok(service);
    return service;
  };

  it("have the cluster's host name, addresses of both families, and TCP ports", () => {
    const service = only("web", {
      clusterIPs: ["10.96.0.1", "fd00:96::1"],
      ipFamilies: ["IPv4", "IPv6"],
      ports: [HTTP, { name: "dns", port: 53, protocol: "UDP" }, { name: "raw", port: 9000 }],
    });
    assert.equal(service.hostname, "web.shop.svc.cluster.local");
    assert.deepEqual(
      service.addresses.map(({ ip }) => ip),
      ["10.96.0.1", "fd00:96::1"],
    );
    assert.equal(service.ipFamilies, "dual");
    assert.deepEqual(service.ports, [
      { servicePort: 80, targetPort: 8080, appProtocol: "http11" },
      { servicePort: 9000, targetPort: 9000, appProtocol: "unknown" },
    ]);
    assert.equal("loadBalancing" in service, false);
  });

  it("without a cluster address are headless", () => {
    assert.deepEqual(only("web", { clusterIP: "None", ports: [HTTP] }).addresses, []);
  });

  it("that are mere DNS aliases are left out, also when one becomes an alias", () => {
    const registry = registryWith(makeService("web", { clusterIP: "10.96.0.1" }));
    registry.apply(present(makeService("web", { type: "ExternalName", externalName: "x.org" })));
    assert.deepEqual(servicesOf(registry.resources), []);
  });

  it("with not-ready addresses published do not open other services to unready pods", () => {
    const near = { trafficDistribution: "PreferSameZone", ports: [HTTP] };
    const registry = registryWith(
      makeService("a", near),
      makeService("b", { ...near, publishNotReadyAddresses: true }),
      makeService("c", near),
    );
    const policies = servicesOf(registry.resources).map(({ name, loadBalancing }) => [
      name,
      loadBalancing?.healthPolicy,
    ]);
    assert.deepEqual(Object.fromEntries(policies), {
      a: "only-healthy",
      b: "allow-all",
      c: "only-healthy",
    });
  });

  const exported: [string | undefined, string][] = [
    [undefined, "public"],
    ["*", "public"],
    [".", "namespace"],
    ["shop", "namespace"],
    ["., bank", "namespace"],
    ["bank", "none"],
    ["~", "none"],
  ];
  for (const [value, visibility] of exported) {
    it(`exported to ${value} are seen by ${visibility}`, () => {
      const annotations = value && { "networking.istio.io/exportTo": value };
      const spec = { clusterIP: "10.96.0.1", ports: [HTTP] };
      const { resources } = registryWith(
        makeService("web", spec, annotations ? { annotations } : {}),
      );
      const seen = servicesOf(resources).map((service) => service.visibility);
      assert.deepEqual(seen, visibility === "none" ? [] : [visibility]);
    });
  }

  it("take their namespace's traffic distribution, unless they say their own", () => {
    const annotations = { "networking.istio.io/traffic-distribution": "PreferSameNode" };
    const shop = makeNamespace("shop");
    const registry = registryWith(
      makeService("a", { ports: [HTTP] }),
      makeService("b", { ports: [HTTP], trafficDistribution: "PreferClose" }),
    );
    registry.apply(present({ ...shop, metadata: { ...shop.metadata, annotations } }));
    const last = servicesOf(registry.resources).map(({ name, loadBalancing }) => [
      name,
      loadBalancing?.routingPreference.at(-1),
    ]);
    assert.deepEqual(Object.fromEntries(last), { a: "node", b: "zone" });
  });

  const routing: [Parameters<typeof makeService>[1], string, string][] = [
    [{ internalTrafficPolicy: "Local" }, "strict", "node"],
    [{ internalTrafficPolicy: "Local", trafficDistribution: "PreferClose" }, "strict", "node"],
    [{ trafficDistribution: "PreferClose" }, "failover", "network,region,zone"],
    [{ trafficDistribution: "PreferSameZone" }, "failover", "network,region,zone"],
    [{ trafficDistribution: "PreferSameNode" }, "failover", "network,region,zone,subzone,node"],
  ];
  for (const [spec, mode, preference] of routing) {
    it(`with ${JSON.stringify(spec)} prefer ${preference}, ${mode}`, () => {
      const { loadBalancing } = only("web", spec);
      assert.equal(loadBalancing?.mode, mode);
      assert.equal(loadBalancing?.routingPreference.join(","), preference);
    });
  }

  const protocols: [string, string | undefined, string][] = [
    ["http-web", undefined, "http11"],
    ["http2", undefined, "http2"],
    ["grpc-web-x", undefined, "grpc"],
    ["https", undefined, "tls"],
    ["web", undefined, "unknown"],
    ["constructor", undefined, "unknown"],
    ["http", "kubernetes.io/h2c", "http2"],
    ["http", "custom.org/x", "unknown"],
  ];
  for (const [name, appProtocol, expected] of protocols) {
    it(`speak ${expected} on a port named ${name} with appProtocol ${appProtocol}`, () => {
      const port = { name, port: 80, ...(appProtocol && { appProtocol }) };
      assert.equal(only("web", { ports: [port] }).ports[0]?.appProtocol, expected);
    });
  }
});
