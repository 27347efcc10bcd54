import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { KubeService, Pod } from "#common/kubernetes/objects.ts";
import { endpointsOf, slicesOf } from "./endpoints.ts";

interface PodOptions {
  readonly ready?: boolean;
  readonly port?: number;
  readonly leaving?: boolean;
  readonly labels?: Record<string, string>;
  readonly namespace?: string;
  readonly phase?: "Running" | "Succeeded";
}

function pod(index: number, options: PodOptions = {}): Pod {
  const { ready = true, port = 8080, labels = { app: "web" }, namespace = "shop" } = options;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `web-${index}`,
      namespace,
      uid: `uid-${index}`,
      labels,
      ...(options.leaving ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}),
    },
    spec: {
      nodeName: "node1",
      containers: [{ name: "c", image: "node", ports: [{ name: "http", containerPort: port }] }],
    },
    status: {
      phase: options.phase ?? "Running",
      podIPs: [{ ip: `10.244.1.${index}` }, { ip: `fd00:10:244:1::${index}` }],
      conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
    },
  };
}

function service(spec: Partial<KubeService["spec"]> = {}): KubeService {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "shop" },
    spec: {
      ipFamilies: ["IPv4", "IPv6"],
      selector: { app: "web" },
      ports: [{ name: "http", port: 80, targetPort: "http" }],
      ...spec,
    },
  };
}

const addresses = (of: KubeService, pods: readonly Pod[]) => {
  const port = of.spec.ports?.[0] ?? assert.fail("a port");
  return endpointsOf(of, port, slicesOf(of, pods)).map((e) => `${e.ip} ${e.port} ${e.ready}`);
};

describe("the slices of a service", () => {
  test("hold its pods' addresses by family, with readiness and the pod they are of", () => {
    const [ipv4, ipv6, ...more] = slicesOf(service(), [pod(1), pod(2, { ready: false })]);
    assert.deepEqual(more, []);
    assert.equal(ipv4?.addressType, "IPv4");
    assert.equal(ipv6?.addressType, "IPv6");
    assert.equal(ipv4.metadata.labels?.["kubernetes.io/service-name"], "web");
    assert.deepEqual(ipv4.ports, [{ name: "http", port: 8080, protocol: "TCP" }]);
    assert.deepEqual(ipv4.endpoints[0], {
      addresses: ["10.244.1.1"],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: "node1",
      targetRef: { kind: "Pod", name: "web-1", namespace: "shop", uid: "uid-1" },
    });
    assert.equal(ipv4.endpoints[1]?.conditions?.ready, false);
    assert.deepEqual(ipv6.endpoints[0]?.addresses, ["fd00:10:244:1::1"]);
  });

  test("leave out pods of other labels, of other namespaces, and those that are over", () => {
    const strangers = [
      pod(1, { labels: { app: "other" } }),
      pod(2, { namespace: "elsewhere" }),
      pod(3, { phase: "Succeeded" }),
    ];
    assert.deepEqual(addresses(service({ ipFamilies: ["IPv4"] }), strangers), []);
  });

  test("follow a named port to the number that each pod gives it", () => {
    const pods = [pod(1), pod(2, { port: 9090 })];
    const found = addresses(service({ ipFamilies: ["IPv4"] }), pods);
    assert.deepEqual(found, ["10.244.1.1 8080 true", "10.244.1.2 9090 true"]);
  });

  test("hold nothing for a port that no pod has", () => {
    const ports = [{ name: "grpc", port: 80, targetPort: "grpc" }];
    assert.deepEqual(addresses(service({ ports }), [pod(1)]), []);
  });

  test("use the service's own port where no target is named", () => {
    const found = addresses(service({ ipFamilies: ["IPv4"], ports: [{ port: 7000 }] }), [pod(1)]);
    assert.deepEqual(found, ["10.244.1.1 7000 true"]);
  });

  test("count a pod on its way out as not ready", () => {
    const [slice] = slicesOf(service(), [pod(1, { leaving: true })]);
    assert.deepEqual(slice?.endpoints[0]?.conditions, {
      ready: false,
      serving: true,
      terminating: true,
    });
  });

  test("count every pod as ready where the service publishes addresses that are not", () => {
    const eager = service({ ipFamilies: ["IPv4"], publishNotReadyAddresses: true });
    assert.deepEqual(addresses(eager, [pod(1, { ready: false })]), ["10.244.1.1 8080 true"]);
  });

  test("are not made without a selector", () => {
    const { selector: _, ...spec } = service().spec;
    assert.deepEqual(slicesOf({ ...service(), spec }, [pod(1)]), []);
  });
});
