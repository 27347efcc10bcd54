import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { KubeService } from "#common/kubernetes/objects.ts";
import { ServiceAddresses } from "./addresses.ts";

function service(name: string, spec: Partial<KubeService["spec"]> = {}): KubeService {
  const metadata = { name, namespace: "shop" };
  return { apiVersion: "v1", kind: "Service", metadata, spec: { ports: [{ port: 80 }], ...spec } };
}

function completed(addresses: ServiceAddresses, of: KubeService): KubeService["spec"] {
  const result = addresses.complete(of);
  assert.ok(typeof result !== "string", String(result));
  return result.spec;
}

describe("service addresses", () => {
  test("are IPv4 alone unless the service asks for both, and then in its order", () => {
    const addresses = new ServiceAddresses();
    assert.deepEqual(completed(addresses, service("a")).clusterIPs, ["10.96.0.16"]);
    const both = completed(addresses, service("b", { ipFamilyPolicy: "PreferDualStack" }));
    assert.deepEqual(both.clusterIPs, ["10.96.0.17", "fd00:10:96::11"]);
    assert.deepEqual(both.ipFamilies, ["IPv4", "IPv6"]);
    const six = completed(
      addresses,
      service("c", { ipFamilyPolicy: "RequireDualStack", ipFamilies: ["IPv6"] }),
    );
    assert.deepEqual(six.clusterIPs, ["fd00:10:96::12", "10.96.0.18"]);
    assert.equal(six.clusterIP, "fd00:10:96::12");
    const only = completed(addresses, service("d", { ipFamilies: ["IPv6"] }));
    assert.deepEqual(only.clusterIPs, ["fd00:10:96::13"]);
  });

  test("stay while the service exists, whatever else changes about it", () => {
    const addresses = new ServiceAddresses();
    const first = completed(addresses, service("a")).clusterIP;
    addresses.keep([service("a")]);
    assert.equal(completed(addresses, service("a", { ports: [{ port: 81 }] })).clusterIP, first);
    addresses.keep([]);
    assert.notEqual(completed(addresses, service("a")).clusterIP, first);
  });

  test("can be asked for, once each", () => {
    const addresses = new ServiceAddresses();
    assert.equal(
      completed(addresses, service("dns", { clusterIP: "10.96.0.10" })).clusterIP,
      "10.96.0.10",
    );
    assert.match(String(addresses.complete(service("b", { clusterIP: "10.96.0.10" }))), /is taken/);
    assert.match(
      String(addresses.complete(service("c", { clusterIP: "192.0.2.1" }))),
      /is taken, or not in/,
    );
    assert.match(String(addresses.complete(service("d", { clusterIP: "x" }))), /is not an address/);
  });

  test("are not given to headless services or aliases", () => {
    const addresses = new ServiceAddresses();
    const headless = completed(addresses, service("a", { clusterIP: "None" }));
    assert.deepEqual(headless.clusterIPs, ["None"]);
    const alias = completed(addresses, service("b", { type: "ExternalName", externalName: "x.y" }));
    assert.equal(alias.clusterIPs, undefined);
    assert.equal(completed(addresses, service("c")).clusterIP, "10.96.0.16");
  });
});
