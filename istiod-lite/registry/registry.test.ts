import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AUTHORIZATION_TYPE } from "#common/xds/type-urls.ts";
import { absent, makePod, present, registryWith, workloadsOf } from "./registry-fixtures.ts";

describe("policies", () => {
  const policy = {
    apiVersion: "security.istio.io/v1" as const,
    kind: "AuthorizationPolicy" as const,
    metadata: { name: "deny-web", namespace: "shop", generation: 3 },
    spec: { selector: { matchLabels: { app: "web" } }, action: "DENY" as const, rules: [{}] },
  };

  it("are published, listed by the workloads they select, and reported", () => {
    const registry = registryWith(makePod({ labels: { app: "web" } }));
    const { statuses } = registry.apply(present(policy));
    assert.ok(registry.resources.get(AUTHORIZATION_TYPE, "shop/deny-web"));
    assert.deepEqual(workloadsOf(registry.resources)[0]?.authorizationPolicies, ["shop/deny-web"]);
    assert.deepEqual(
      statuses.map(({ kind, name, generation }) => [kind, name, generation]),
      [["AuthorizationPolicy", "deny-web", 3]],
    );
    registry.apply(absent(policy));
    assert.equal(registry.resources.get(AUTHORIZATION_TYPE, "shop/deny-web"), undefined);
    assert.deepEqual(workloadsOf(registry.resources)[0]?.authorizationPolicies, []);
  });
});

describe("runsOnNode", () => {
  it("knows the identities of live pods on each node", () => {
    const registry = registryWith(
      makePod(),
      makePod({
        name: "done",
        status: { phase: "Succeeded" },
        spec: { serviceAccountName: "job" },
      }),
      makePod({ name: "host", spec: { hostNetwork: true, serviceAccountName: "agent" } }),
    );
    assert.equal(registry.runsOnNode("node-1", "shop", "web"), true);
    assert.equal(registry.runsOnNode("node-2", "shop", "web"), false);
    assert.equal(registry.runsOnNode("node-1", "bank", "web"), false);
    assert.equal(registry.runsOnNode("node-1", "shop", "job"), false);
    assert.equal(registry.runsOnNode("node-1", "shop", "agent"), false);
    registry.apply(absent(makePod()));
    assert.equal(registry.runsOnNode("node-1", "shop", "web"), false);
    registry.apply(present(makePod({ ips: [], status: { phase: "Pending" } })));
    assert.equal(registry.runsOnNode("node-1", "shop", "web"), true, "its sandbox is being made");
  });
});
