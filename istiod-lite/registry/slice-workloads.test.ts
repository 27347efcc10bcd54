import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EndpointSlice } from "#common/kubernetes/objects.ts";
import { Registry } from "./registry.ts";
import {
  absent,
  makePod,
  makeService,
  onlyWorkload,
  present,
  registryWith,
  servicesOf,
  workloadsOf,
} from "./registry-fixtures.ts";
import { DEFAULT_REGISTRY_OPTIONS } from "./registry-options.ts";

const HTTP = { name: "http", port: 80, targetPort: 8080 };

describe("endpoints", () => {
  const WEB = "shop/web.shop.svc.cluster.local";
  const web = (spec: Parameters<typeof makeService>[1] = {}) =>
    makeService("web", {
      clusterIP: "10.96.0.1",
      selector: { app: "web" },
      ports: [HTTP],
      ...spec,
    });

  it("are the pods that the selector selects, in the service's namespace only", () => {
    const registry = registryWith(
      web(),
      makePod({ name: "in", labels: { app: "web", tier: "x" }, ips: ["10.0.0.1"] }),
      makePod({ name: "out", labels: { app: "other" }, ips: ["10.0.0.2"] }),
      makePod({ name: "in", namespace: "bank", labels: { app: "web" }, ips: ["10.0.0.3"] }),
    );
    const serving = workloadsOf(registry.resources).filter(({ services }) => services.has(WEB));
    assert.deepEqual(
      serving.map(({ uid }) => uid),
      ["Kubernetes//Pod/shop/in"],
    );
  });

  it("leave when the pod is relabelled or the service goes, and nothing stays behind", () => {
    const registry = registryWith(web(), makePod({ labels: { app: "web" } }));
    registry.apply(present(makePod({ labels: { app: "other" } })));
    assert.equal(workloadsOf(registry.resources)[0]?.services.size, 0);
    registry.apply(present(makePod({ labels: { app: "web" } })));
    assert.equal(workloadsOf(registry.resources)[0]?.services.size, 1);
    registry.apply(absent(web()));
    assert.equal(workloadsOf(registry.resources)[0]?.services.size, 0);
  });

  it("of a service whose selector is empty are not every pod", () => {
    const workload = workloadsOf(
      registryWith(web({ selector: {} }), makePod({ labels: { app: "web" } })).resources,
    )[0];
    assert.equal(workload?.services.size, 0);
  });

  it("serve a named port where their own containers have it", () => {
    const service = web({
      ports: [
        { name: "http", port: 80, targetPort: "web" },
        { name: "admin", port: 81, targetPort: "admin" },
      ],
    });
    const pod = (name: string, ip: string, containerPort: number) =>
      makePod({
        name,
        ips: [ip],
        labels: { app: "web" },
        spec: { containers: [{ name: "c", image: "i", ports: [{ name: "web", containerPort }] }] },
      });
    const { resources } = registryWith(
      service,
      pod("a", "10.0.0.1", 8080),
      pod("b", "10.0.0.2", 9090),
    );
    assert.equal(servicesOf(resources)[0]?.ports[0]?.targetPort, 0);
    const targets = workloadsOf(resources).map(({ name, services }) => [
      name,
      services.get(WEB)?.map(({ servicePort, targetPort }) => `${servicePort}:${targetPort}`),
    ]);
    assert.deepEqual(Object.fromEntries(targets), { a: ["80:8080"], b: ["80:9090"] });
  });

  const slice = (
    addresses: readonly string[],
    shape: Partial<EndpointSlice> & { namespace?: string } = {},
  ): EndpointSlice => {
    const { namespace = "shop", ...rest } = shape;
    return {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: "web-1", namespace, labels: { "kubernetes.io/service-name": "web" } },
      addressType: "IPv4",
      endpoints: [{ addresses }],
      ports: [{ name: "http", port: 8443 }],
      ...rest,
    };
  };

  it("of a service without selector come from its slices", () => {
    const workload = onlyWorkload(web({ selector: {} }), slice(["192.0.2.7"]));
    assert.equal(workload.uid, "Kubernetes/discovery.k8s.io/EndpointSlice/shop/web-1/192.0.2.7");
    assert.equal(workload.tunnelProtocol, "none");
    assert.equal(workload.status, "healthy");
    assert.equal(workload.services.get(WEB)?.[0]?.targetPort, 8443);
  });

  it("of a service with a selector never come from slices", () => {
    assert.deepEqual(workloadsOf(registryWith(web(), slice(["192.0.2.7"])).resources), []);
  });

  it("in a slice that are a pod's address are that pod, in either order of arrival", () => {
    const pod = makePod({ ips: ["10.0.1.1"] });
    for (const objects of [
      [web({ selector: {} }), slice(["10.0.1.1"]), pod],
      [pod, slice(["10.0.1.1"]), web({ selector: {} })],
    ]) {
      const registry = new Registry(DEFAULT_REGISTRY_OPTIONS);
      for (const object of objects) registry.apply(present(object));
      const [workload, ...more] = workloadsOf(registry.resources);
      assert.equal(more.length, 0);
      assert.equal(workload?.uid, "Kubernetes//Pod/shop/web-1");
      assert.equal(workload?.services.get(WEB)?.[0]?.targetPort, 8443);
    }
  });

  it("in a slice cannot take over a pod of another namespace", () => {
    const victim = makePod({ namespace: "bank", ips: ["10.0.1.1"] });
    const workload = onlyWorkload(victim, web({ selector: {} }), slice(["10.0.1.1"]));
    assert.equal(workload.uid, "Kubernetes//Pod/bank/web-1");
    assert.equal(workload.services.size, 0);
  });

  it("in a slice are refused where no endpoint can be, and unhealthy where not ready", () => {
    const refused = ["127.0.0.1", "0.0.0.0", "169.254.169.254", "224.0.0.1", "x"];
    const registry = registryWith(
      web({ selector: {} }),
      slice(refused, {
        endpoints: [
          { addresses: [...refused, "::1", "::", "fe80::1", "ff02::1"] },
          { addresses: ["192.0.2.7"], conditions: { ready: false } },
        ],
      }),
    );
    const workloads = workloadsOf(registry.resources);
    assert.deepEqual(
      workloads.map(({ addresses, status }) => [...addresses, status]),
      [["192.0.2.7", "unhealthy"]],
    );
  });
});
