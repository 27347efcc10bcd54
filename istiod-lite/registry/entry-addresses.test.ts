/** Addresses for the hosts of ServiceEntries that have none. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ServiceEntry } from "#common/kubernetes/objects.ts";
import { AutomaticAddresses, parseAutomaticAddress } from "./automatic-addresses.ts";
import type { Registry } from "./registry.ts";
import {
  absent,
  makeService,
  makeServiceEntry,
  present,
  registryWith,
  servicesOf,
} from "./registry-fixtures.ts";
import type { RegistryUpdate } from "./registry-update.ts";

const ips = (registry: Registry, name: string) =>
  servicesOf(registry.resources)
    .filter((service) => service.name === name)
    .flatMap(({ addresses }) => addresses.map(({ ip }) => ip));

/** The entry as it comes back once its status is written. */
function written(entry: ServiceEntry, { statuses }: RegistryUpdate): ServiceEntry {
  const status = statuses.find(({ name }) => name === entry.metadata.name);
  assert.ok(status);
  return { ...entry, status: { conditions: status.conditions, addresses: status.addresses ?? [] } };
}

describe("automatic addresses", () => {
  it("are one of each family per host, from Istio's blocks, and stand in the status", () => {
    const registry = registryWith();
    const hosts = ["a.example.com", "b.example.com", "*.c.example.com"];
    const { statuses } = registry.apply(present(makeServiceEntry("api", { hosts })));
    const given = statuses[0]?.addresses ?? [];
    assert.deepEqual(
      given.map(({ host }) => host),
      ["a.example.com", "a.example.com", "b.example.com", "b.example.com"],
    );
    assert.equal(new Set(given.map(({ value }) => value)).size, 4);
    for (const [i, { value }] of given.entries()) {
      assert.match(value, i % 2 === 0 ? /^240\.240\.\d+\.\d+$/ : /^2001:2::[0-9a-f]+$/);
    }
    assert.deepEqual(
      ips(registry, "api"),
      given.map(({ value }) => value),
    );
  });

  it("once written change nothing when they come back, and are kept through edits", () => {
    const registry = registryWith();
    const entry = makeServiceEntry("api", {});
    const back = written(entry, registry.apply(present(entry)));
    const before = ips(registry, "api");
    const again = registry.apply(present(back));
    assert.deepEqual([again.changed, again.removed], [[], []]);
    registry.apply(
      present({ ...back, spec: { ...back.spec, hosts: ["new.example.com", ...back.spec.hosts] } }),
    );
    assert.deepEqual(
      ips(registry, "api").filter((ip) => before.includes(ip)),
      before,
    );
  });

  it("are the same in a process that starts anew, with the status or without", () => {
    const entry = makeServiceEntry("api", {});
    const first = registryWith(entry);
    const second = registryWith(makeServiceEntry("other", {}), entry);
    assert.deepEqual(ips(second, "api"), ips(first, "api"));
    const moved = {
      ...entry,
      status: { addresses: [{ value: "240.240.7.7", host: entry.spec.hosts[0] ?? "" }] },
    };
    assert.deepEqual(ips(registryWith(moved), "api"), ["240.240.7.7"]);
  });

  it("that two statuses record are the first one's: the other gets new ones", () => {
    const recorded = (name: string) => ({
      ...makeServiceEntry(name, {}),
      status: { addresses: [{ value: "240.240.7.7", host: `${name}.example.com` }] },
    });
    const registry = registryWith();
    const { statuses } = registry.apply(present(recorded("a"), recorded("b")));
    assert.deepEqual(ips(registry, "a"), ["240.240.7.7"]);
    const [v4] = ips(registry, "b");
    assert.match(v4 ?? "", /^240\.240\./);
    assert.notEqual(v4, "240.240.7.7");
    const status = statuses.find(({ name }) => name === "b");
    assert.deepEqual(
      status?.addresses?.map(({ value }) => value),
      ips(registry, "b"),
    );
  });

  it("cannot be claimed by another, however old, and are not taken from another", () => {
    const entry = makeServiceEntry("api", {}, { creationTimestamp: "2026-01-02T00:00:00Z" });
    const registry = registryWith(entry);
    const [vip = ""] = ips(registry, "api");
    const thief = makeServiceEntry(
      "thief",
      { addresses: [vip] },
      { namespace: "bank", creationTimestamp: "2026-01-01T00:00:00Z" },
    );
    registry.apply(present(thief));
    assert.deepEqual(ips(registry, "thief"), []);
    assert.ok(ips(registry, "api").includes(vip as never));
    const [other] = ips(registryWith(thief, entry), "api");
    assert.notEqual(other, vip);
  });

  it("are released with the entry, and when it says that it wants none", () => {
    const registry = registryWith();
    const entry = makeServiceEntry("api", {});
    const back = written(entry, registry.apply(present(entry)));
    const label = { "networking.istio.io/enable-autoallocate-ip": "False" };
    const opted = { ...back, metadata: { ...back.metadata, labels: label } };
    const { statuses } = registry.apply(present(opted));
    assert.deepEqual(ips(registry, "api"), []);
    assert.deepEqual(statuses[0]?.addresses, []);
    registry.apply(present(back));
    assert.equal(ips(registry, "api").length, 2);
    registry.apply(absent(back));
    assert.deepEqual(servicesOf(registry.resources), []);
  });

  const without: [string, Partial<ServiceEntry["spec"]>][] = [
    ["that goes where connections were going", { resolution: "NONE" }],
    ["with an address of its own", { addresses: ["192.0.2.1"] }],
    ["that is a wildcard", { hosts: ["*.example.com"] }],
    ["that nobody sees", { exportTo: ["~"] }],
  ];
  for (const [name, spec] of without) {
    it(`are not for one ${name}`, () => {
      const { statuses } = registryWith().apply(present(makeServiceEntry("api", spec)));
      assert.deepEqual(statuses[0]?.addresses ?? [], []);
    });
  }

  it("of a Kubernetes Service in the same block are passed over", () => {
    const entry = makeServiceEntry("api", {});
    const [vip = ""] = ips(registryWith(entry), "api");
    const taken = makeService("web", { clusterIP: vip, ports: [{ port: 80 }] });
    assert.ok(!ips(registryWith(taken, entry), "api").includes(vip as never));
  });

  it("run out: then a host has none, until one is released", () => {
    const addresses = new AutomaticAddresses(300);
    const isFree = () => true;
    for (let i = 0; i < 300; i++) assert.ok(addresses.allocate(`h${i}`, isFree));
    assert.equal(addresses.allocate("more", isFree), undefined);
    addresses.release("h7");
    assert.ok(addresses.allocate("more", isFree));
  });

  it("are recognised by their blocks alone", () => {
    for (const text of ["240.240.0.1", "240.240.255.254", "2001:2::1", "2001:2:0:1:2:3:4:5"]) {
      assert.equal(parseAutomaticAddress(text), text);
    }
    for (const text of ["240.241.0.1", "10.0.0.1", "2001:2:1::1", "2001:20::1", "x", ""]) {
      assert.equal(parseAutomaticAddress(text), undefined);
    }
  });
});
