/** Several objects that want the same host or the same address. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import type { Registry } from "./registry.ts";
import {
  absent,
  makePod,
  makeService,
  makeServiceEntry,
  makeWorkloadEntry,
  present,
  registryWith,
  servicesOf,
  workloadsOf,
} from "./registry-fixtures.ts";

const OLD = { creationTimestamp: "2026-01-01T00:00:00Z" };
const YOUNG = { creationTimestamp: "2026-01-02T00:00:00Z" };
const WEB_HOST = "web.shop.svc.cluster.local";
const web = makeService("web", { clusterIP: "10.96.0.1", ports: [{ port: 80 }] }, YOUNG);

/** `namespace/name: addresses` of each service, with "canonical" where it is. */
function summary(registry: Registry): string[] {
  return servicesOf(registry.resources)
    .map(({ namespace, name, addresses, canonical }) => {
      const ips = addresses.map(({ ip }) => ip).join(",") || "-";
      return `${namespace}/${name}: ${ips}${canonical ? " canonical" : ""}`;
    })
    .sort();
}

/** What the registry says of the objects when all of them are new to it. */
function said(...objects: readonly KubernetesObject[]): Map<string, string> {
  const { statuses } = registryWith().apply(present(...objects));
  return new Map(
    statuses.map(({ kind, namespace, name, conditions, warnings }) => {
      const text = [...conditions.map((c) => `${c.reason} ${c.message}`), ...warnings].join("; ");
      return [`${kind}/${namespace}/${name}`, text];
    }),
  );
}

describe("one host", () => {
  const entry = (name: string, namespace: string, metadata: object, spec: object = {}) =>
    makeServiceEntry(
      name,
      { hosts: ["x.example.com"], addresses: ["192.0.2.1"], ...spec },
      { namespace, ...metadata },
    );

  it("in one namespace is the oldest object's, whatever the order of arrival", () => {
    const older = entry("older", "shop", OLD);
    const younger = entry("younger", "shop", YOUNG, { addresses: ["192.0.2.2"] });
    for (const objects of [
      [older, younger],
      [younger, older],
    ]) {
      const registry = registryWith();
      for (const object of objects) registry.apply(present(object));
      assert.deepEqual(summary(registry), ["shop/older: 192.0.2.1 canonical"]);
    }
    const status = said(older, younger);
    assert.match(status.get("ServiceEntry/shop/older") ?? "", /^Accepted in force$/);
    assert.match(
      status.get("ServiceEntry/shop/younger") ?? "",
      /^Invalid not in force\. spec\.hosts\[0\]: .* served by ServiceEntry\/shop\/older already$/,
    );
  });

  it("passes on when its holder goes, with the endpoints", () => {
    const older = entry("older", "shop", OLD);
    const younger = entry("younger", "shop", YOUNG, { endpoints: [{ address: "192.0.2.9" }] });
    const registry = registryWith(older, younger);
    assert.deepEqual(workloadsOf(registry.resources), []);
    registry.apply(absent(older));
    assert.deepEqual(summary(registry), ["shop/younger: 192.0.2.1 canonical"]);
    assert.deepEqual(workloadsOf(registry.resources)[0]?.addresses, ["192.0.2.9"]);
  });

  it("of a Kubernetes Service is never a ServiceEntry's in that namespace", () => {
    const copy = makeServiceEntry("copy", { hosts: [WEB_HOST], resolution: "NONE" }, OLD);
    const registry = registryWith(copy, web);
    assert.deepEqual(summary(registry), ["shop/web: 10.96.0.1 canonical"]);
    registry.apply(absent(web));
    assert.deepEqual(summary(registry), ["shop/copy: - canonical"]);
  });

  it("in several namespaces is each one's own, and one's for everybody else", () => {
    const registry = registryWith(
      entry("a", "shop", YOUNG),
      entry("b", "bank", OLD),
      entry("hidden", "attic", { creationTimestamp: "2025-01-01T00:00:00Z" }, { exportTo: ["."] }),
    );
    assert.deepEqual(summary(registry), [
      "attic/hidden: 192.0.2.1",
      "bank/b: 192.0.2.1 canonical",
      "shop/a: 192.0.2.1",
    ]);
  });

  it("overridden for one namespace may keep the address of the canonical one", () => {
    const registry = registryWith(entry("a", "shop", OLD), entry("b", "bank", YOUNG));
    assert.deepEqual(summary(registry), ["bank/b: 192.0.2.1", "shop/a: 192.0.2.1 canonical"]);
  });
});

describe("one address", () => {
  it("of a Kubernetes Service is not a ServiceEntry's, older or not", () => {
    const thief = makeServiceEntry(
      "thief",
      { hosts: ["a.example.com"], addresses: ["10.96.0.1", "192.0.2.1"] },
      { namespace: "bank", ...OLD },
    );
    assert.deepEqual(summary(registryWith(thief, web)), [
      "bank/thief: 192.0.2.1 canonical",
      "shop/web: 10.96.0.1 canonical",
    ]);
    assert.match(
      said(thief, web).get("ServiceEntry/bank/thief") ?? "",
      /^PartiallyInvalid .*spec\.addresses\[0\]: 10\.96\.0\.1 belongs to Service\/shop\/web/,
    );
  });

  it("of a pod is not a ServiceEntry's, as long as the pod is there", () => {
    const thief = makeServiceEntry("thief", { addresses: ["10.0.1.1"] }, { namespace: "bank" });
    const pod = makePod({ ips: ["10.0.1.1"] });
    const registry = registryWith(thief, pod);
    assert.deepEqual(summary(registry), ["bank/thief: - canonical"]);
    assert.match(
      said(thief, pod).get("ServiceEntry/bank/thief") ?? "",
      /belongs to Pod\/shop\/web-1/,
    );
    registry.apply(absent(pod));
    assert.deepEqual(summary(registry), ["bank/thief: 10.0.1.1 canonical"]);
  });

  it("of two ServiceEntries for different hosts is the older one's", () => {
    const older = makeServiceEntry("older", { addresses: ["192.0.2.1"] }, OLD);
    const younger = makeServiceEntry(
      "younger",
      { addresses: ["192.0.2.1"] },
      { namespace: "bank", ...YOUNG },
    );
    const registry = registryWith(younger, older);
    assert.deepEqual(summary(registry), [
      "bank/younger: - canonical",
      "shop/older: 192.0.2.1 canonical",
    ]);
    registry.apply(absent(older));
    assert.deepEqual(summary(registry), ["bank/younger: 192.0.2.1 canonical"]);
  });

  it("of what only one namespace sees is no other's loss, nor the other way round", () => {
    const hidden = makeServiceEntry(
      "hidden",
      { addresses: ["192.0.2.1"], exportTo: ["."] },
      { namespace: "bank", ...OLD },
    );
    const open = makeServiceEntry("open", { addresses: ["192.0.2.1"] }, YOUNG);
    assert.deepEqual(summary(registryWith(hidden, open)), [
      "bank/hidden: 192.0.2.1",
      "shop/open: 192.0.2.1 canonical",
    ]);
  });

  it("of two Kubernetes Services is the older one's, and the other is told by an Event", () => {
    const twin = makeService("twin", { clusterIP: "10.96.0.1", ports: [{ port: 80 }] }, OLD);
    const registry = registryWith();
    const { statuses } = registry.apply(present(web, twin));
    assert.deepEqual(summary(registry), [
      "shop/twin: 10.96.0.1 canonical",
      "shop/web: - canonical",
    ]);
    assert.deepEqual(
      statuses.map(({ kind, name, warnings }) => [kind, name, warnings]),
      [["Service", "web", ["clusterIP 10.96.0.1 belongs to Service/shop/twin, which keeps it"]]],
    );
    const after = registry.apply(absent(twin));
    assert.deepEqual(summary(registry), ["shop/web: 10.96.0.1 canonical"]);
    assert.deepEqual(
      after.statuses.map(({ name, warnings }) => [name, warnings]),
      [["web", []]],
    );
  });
});

describe("one endpoint's address", () => {
  const modes = (registry: Registry) =>
    Object.fromEntries(
      workloadsOf(registry.resources).map(({ namespace, name, networkMode }) => [
        `${namespace}/${name}`,
        networkMode,
      ]),
    );

  it("of a pod stays that pod's: a WorkloadEntry with it is refused", () => {
    const thief = makeWorkloadEntry(
      "thief",
      { address: "10.0.1.1", serviceAccount: "admin" },
      { namespace: "bank" },
    );
    const pod = makePod({ ips: ["10.0.1.1"] });
    const registry = registryWith(thief);
    assert.deepEqual(Object.keys(modes(registry)), ["bank/thief"]);
    registry.apply(present(pod));
    assert.deepEqual(Object.keys(modes(registry)), ["shop/web-1"]);
    assert.match(
      said(thief, pod).get("WorkloadEntry/bank/thief") ?? "",
      /^Invalid not in force\. spec\.address: 10\.0\.1\.1 is the address of Pod shop\/web-1/,
    );
    registry.apply(absent(pod));
    assert.deepEqual(Object.keys(modes(registry)), ["bank/thief"]);
  });

  it("leads to one workload: a WorkloadEntry's before a ServiceEntry's, then the oldest", () => {
    const at = { address: "192.0.2.7" };
    const registry = registryWith(
      makeServiceEntry("api", { endpoints: [at] }, OLD),
      makeWorkloadEntry("vm", at, YOUNG),
      makeWorkloadEntry("vm", at, { namespace: "bank" }),
    );
    assert.deepEqual(modes(registry), {
      "shop/api": "host-network",
      "shop/vm": "standard",
      "bank/vm": "host-network",
    });
    registry.apply([{ key: "WorkloadEntry/shop/vm", kind: "WorkloadEntry" }]);
    assert.deepEqual(modes(registry), { "shop/api": "host-network", "bank/vm": "standard" });
  });

  it("that is a service's leads to the service", () => {
    const registry = registryWith(makeWorkloadEntry("vm", { address: "10.96.0.1" }));
    assert.deepEqual(modes(registry), { "shop/vm": "standard" });
    registry.apply(present(web));
    assert.deepEqual(modes(registry), { "shop/vm": "host-network" });
  });
});
