import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { EndpointSlice, KubeService } from "#common/kubernetes/objects.ts";
import { serviceRules } from "./rules.ts";

function service(name: string, spec: Partial<KubeService["spec"]>): KubeService {
  const ports = [{ name: "http", port: 80 }];
  const metadata = { name, namespace: "shop" };
  return { apiVersion: "v1", kind: "Service", metadata, spec: { ports, ...spec } };
}

function slice(name: string, addresses: readonly [string, boolean, string][]): EndpointSlice {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name, namespace: "shop", labels: { "kubernetes.io/service-name": name } },
    addressType: "IPv4",
    endpoints: addresses.map(([ip, ready, nodeName]) => ({
      addresses: [ip],
      conditions: { ready },
      nodeName,
    })),
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
  };
}

const SLICES = [
  slice("web", [
    ["10.244.1.2", true, "node1"],
    ["10.244.2.2", true, "node2"],
    ["10.244.2.3", false, "node2"],
  ]),
];

/** The line of the rules that says where a service's connections go. */
function chain(rules: string, name: string): string | undefined {
  return rules
    .split("\n")
    .find((line) => line.includes(`chain svc-`) && line.includes(name))
    ?.trim();
}

describe("the rules of a node", () => {
  test("send a service's address and port to one of its ready endpoints by chance", () => {
    const rules = serviceRules("node1", [service("web", { clusterIPs: ["10.96.0.20"] })], SLICES);
    assert.match(rules, /10\.96\.0\.20 \. tcp \. 80 : goto svc-10_96_0_20_tcp80_shop_web,/);
    assert.equal(
      chain(rules, "shop_web"),
      "chain svc-10_96_0_20_tcp80_shop_web { meta l4proto tcp dnat ip to numgen random mod 2 " +
        "map { 0 : 10.244.1.2 . 8080, 1 : 10.244.2.2 . 8080 }; }",
    );
  });

  test("keep a client with one endpoint where the service asks for it", () => {
    const spec = { clusterIPs: ["10.96.0.20"], sessionAffinity: "ClientIP" };
    const rules = serviceRules("node1", [service("web", spec)], SLICES);
    assert.match(chain(rules, "shop_web") ?? "", /dnat ip to jhash ip saddr mod 2 map/);
  });

  test("stay on the node where the service says so", () => {
    const spec = { clusterIPs: ["10.96.0.20"], internalTrafficPolicy: "Local" } as const;
    const on = (node: string) => chain(serviceRules(node, [service("web", spec)], SLICES), "web");
    assert.match(on("node1") ?? "", /mod 1 map \{ 0 : 10\.244\.1\.2 \. 8080 \}/);
    assert.match(on("node2") ?? "", /mod 1 map \{ 0 : 10\.244\.2\.2 \. 8080 \}/);
    assert.equal(on("node3"), undefined);
  });

  test("take no connection for a service without ready endpoints, so that it is refused", () => {
    const rules = serviceRules("node1", [service("empty", { clusterIPs: ["10.96.0.21"] })], SLICES);
    assert.equal(rules.includes("10.96.0.21"), false);
    assert.match(rules, /ip daddr 10\.96\.0\.0\/16 jump refuse/);
  });

  test("never mix the address families", () => {
    const both = service("web", { clusterIPs: ["10.96.0.20", "fd00:10:96::14"] });
    const rules = serviceRules("node1", [both], SLICES);
    assert.equal(rules.includes("fd00:10:96::14"), false, "there is no IPv6 endpoint");
  });

  test("tell services of alike names apart", () => {
    const odd = [
      {
        ...service("b-c", { clusterIPs: ["10.96.0.1"] }),
        metadata: { name: "b-c", namespace: "a" },
      },
      { ...service("c", { clusterIPs: ["10.96.0.2"] }), metadata: { name: "c", namespace: "a-b" } },
    ];
    const slices = odd.map(({ metadata }) => ({
      ...slice(metadata.name, [["10.244.1.2", true, "node1"]]),
      metadata: {
        name: metadata.name,
        namespace: metadata.namespace,
        labels: { "kubernetes.io/service-name": metadata.name },
      },
    }));
    const names = serviceRules("node1", odd, slices).match(/chain svc-\S+/g) ?? [];
    assert.equal(new Set(names).size, 2);
  });
});
