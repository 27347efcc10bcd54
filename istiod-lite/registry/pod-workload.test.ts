import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Pod } from "#common/kubernetes/objects.ts";
import { ADDRESS_TYPE } from "#common/xds/type-urls.ts";
import {
  makeNode,
  makePod,
  onlyWorkload,
  present,
  registryWith,
  workloadsOf,
} from "./registry-fixtures.ts";

describe("workloads from pods", () => {
  it("carry Istio's uid and what the pod says", () => {
    const workload = onlyWorkload(makePod({ ips: ["10.0.1.1", "fd00::1"] }));
    assert.equal(workload.uid, "Kubernetes//Pod/shop/web-1");
    assert.deepEqual(workload.addresses, ["10.0.1.1", "fd00::1"]);
    assert.equal(workload.serviceAccount, "web");
    assert.equal(workload.node, "node-1");
    assert.equal(workload.clusterId, "Kubernetes");
    assert.equal(workload.trustDomain, "cluster.local");
    assert.equal(workload.networkMode, "standard");
    assert.equal(workload.status, "healthy");
  });

  it("tunnel only once capture is confirmed on the pod", () => {
    const key = "ambient.istio.io/redirection";
    assert.equal(onlyWorkload(makePod()).tunnelProtocol, "none");
    const pending = makePod({ annotations: { [key]: "pending" } });
    assert.equal(onlyWorkload(pending).tunnelProtocol, "none");
    const enabled = makePod({ annotations: { [key]: "enabled" } });
    assert.equal(onlyWorkload(enabled).tunnelProtocol, "hbone");
  });

  it("do not exist for pods without address or run to their end", () => {
    for (const pod of [
      makePod({ ips: [] }),
      makePod({ status: { phase: "Succeeded" } }),
      makePod({ status: { phase: "Failed" } }),
    ]) {
      assert.deepEqual(workloadsOf(registryWith(pod).resources), []);
    }
  });

  it("are unhealthy unless ready, and as soon as they are being deleted", () => {
    assert.equal(onlyWorkload(makePod({ ready: false })).status, "unhealthy");
    assert.equal(onlyWorkload(makePod({ status: { conditions: [] } })).status, "unhealthy");
    const leaving = makePod({ metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } });
    assert.equal(onlyWorkload(leaving).status, "unhealthy");
  });

  it("of host-network pods are not found by the node's address", () => {
    const pod = makePod({ spec: { hostNetwork: true }, ips: ["192.168.0.1"] });
    const { resources } = registryWith(pod);
    assert.equal(workloadsOf(resources)[0]?.networkMode, "host-network");
    assert.deepEqual(resources.lookup(ADDRESS_TYPE, "/192.168.0.1"), []);
  });

  it("are found by each of their addresses", () => {
    const { resources } = registryWith(makePod({ ips: ["10.0.1.1", "fd00::1"] }));
    for (const alias of ["/10.0.1.1", "/fd00::1"]) {
      const [found] = resources.lookup(ADDRESS_TYPE, alias);
      assert.equal(found?.name, "Kubernetes//Pod/shop/web-1");
    }
  });

  it("take their locality from the node, also when it changes", () => {
    const zone = (name: string) =>
      makeNode("node-1", {
        "topology.kubernetes.io/region": "r",
        "topology.kubernetes.io/zone": name,
      });
    const registry = registryWith(zone("a"), makePod());
    assert.equal(workloadsOf(registry.resources)[0]?.locality.zone, "a");
    registry.apply(present(zone("b")));
    assert.equal(workloadsOf(registry.resources)[0]?.locality.zone, "b");
  });

  const owner = (kind: string, name: string) => ({
    ownerReferences: [{ apiVersion: "x", kind, name, controller: true }],
  });
  const owners: [string, Partial<Pod["metadata"]>, string, string][] = [
    ["no owner", {}, "web-1", "pod"],
    [
      "a ReplicaSet of a Deployment",
      { ...owner("ReplicaSet", "web-5f7"), labels: { "pod-template-hash": "5f7" } },
      "web",
      "deployment",
    ],
    ["a ReplicaSet of its own", owner("ReplicaSet", "web"), "web", "pod"],
    ["a Deployment itself", owner("Deployment", "web"), "web", "deployment"],
    ["a Job", owner("Job", "backup"), "backup", "job"],
    ["a Job of a CronJob", owner("Job", "backup-28812345"), "backup", "cronjob"],
    ["a StatefulSet", owner("StatefulSet", "db"), "db", "pod"],
  ];
  for (const [what, metadata, name, type] of owners) {
    it(`are named after ${what}`, () => {
      const workload = onlyWorkload(makePod({ metadata }));
      assert.deepEqual([workload.workloadName, workload.workloadType], [name, type]);
    });
  }

  const canonical: [Record<string, string>, string, string][] = [
    [{}, "web-1", "latest"],
    [{ app: "web", version: "v1" }, "web", "v1"],
    [{ app: "web", "app.kubernetes.io/name": "shop-web" }, "shop-web", "latest"],
    [
      {
        app: "web",
        "app.kubernetes.io/name": "k",
        "service.istio.io/canonical-name": "s",
        version: "v1",
        "app.kubernetes.io/version": "v2",
        "service.istio.io/canonical-revision": "v3",
      },
      "s",
      "v3",
    ],
  ];
  for (const [labels, name, revision] of canonical) {
    it(`are ${name} ${revision} by the labels ${JSON.stringify(labels)}`, () => {
      const workload = onlyWorkload(makePod({ labels }));
      assert.deepEqual([workload.canonicalName, workload.canonicalRevision], [name, revision]);
    });
  }
});
