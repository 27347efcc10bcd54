/**
 * A ztunnel's `/config_dump` of a whole mesh: workloads, services, policies, certificates, pods.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { TestCluster } from "#test/support/cluster.ts";
import { SPIFFE } from "#test/support/objects.ts";
import { TELEMETRY_OBJECTS } from "#test/support/telemetry-objects.ts";
import { configDump, type DumpedWorkload, startMesh } from "#test/support/ztunnel-view.ts";

const PORT = 8080;

describe("the config dump", () => {
  let cluster: TestCluster;

  before(async () => {
    cluster = await startMesh({ objects: TELEMETRY_OBJECTS });
  });

  after(() => cluster?.stop());

  test("has every workload, with what is known of it", async () => {
    let pods: readonly DumpedWorkload[] = [];
    await cluster.until("it knows all pods to be ready", async () => {
      const { workloads } = await configDump(cluster, "node1");
      pods = workloads.filter(({ namespace }) => /^(shop|outside)$/.test(namespace));
      return pods.length === 4 && pods.every(({ status }) => status === "Healthy");
    });
    const summary = pods.map(({ uid, node, protocol, status }) => [uid, node, protocol, status]);
    assert.deepEqual(summary.sort(), [
      ["Kubernetes//Pod/outside/client", "node1", "TCP", "Healthy"],
      ["Kubernetes//Pod/outside/web", "node2", "TCP", "Healthy"],
      ["Kubernetes//Pod/shop/client", "node1", "HBONE", "Healthy"],
      ["Kubernetes//Pod/shop/web-0", "node2", "HBONE", "Healthy"],
    ]);
    const web = pods.find(({ name }) => name === "web-0");
    assert.equal(web?.serviceAccount, "web");
    assert.deepEqual(web?.authorizationPolicies, ["shop/web"]);
    assert.deepEqual(web?.services, ["shop/web.shop.svc.cluster.local"]);
    const ips = [await cluster.podIp("shop/web-0"), await cluster.podIp("shop/web-0", "ipv6")];
    assert.deepEqual([...(web?.workloadIps ?? [])].sort(), ips.sort());
  });

  test("has every service with its addresses, ports and endpoints", async () => {
    const { services } = await configDump(cluster, "node2");
    const web = services.find(({ hostname }) => hostname === "web.shop.svc.cluster.local");
    const { spec } = (await cluster.find("Service", "shop/web")) ?? {};
    assert.deepEqual(
      web?.vips,
      spec?.clusterIPs?.map((ip) => `/${ip}`),
    );
    assert.deepEqual(web?.ports, { 80: PORT });
    assert.deepEqual(Object.keys(web?.endpoints ?? {}), ["Kubernetes//Pod/shop/web-0"]);
    assert.deepEqual(web?.endpoints["Kubernetes//Pod/shop/web-0"]?.port, { 80: PORT });
  });

  test("has the policies", async () => {
    const { policies } = await configDump(cluster, "node2");
    const policy = policies.find(({ name }) => name === "web");
    assert.deepEqual(policy, {
      name: "web",
      namespace: "shop",
      scope: "WorkloadSelector",
      action: "Deny",
      rules: [[[{ destinationPorts: [9999] }]]],
      dryRun: false,
    });
  });

  test("has the certificates of the identities on its own node, and no others", async () => {
    for (const [node, account] of [
      ["node1", "client"],
      ["node2", "web"],
    ] as const) {
      const { certificates } = await configDump(cluster, node);
      assert.deepEqual(
        certificates.map(({ identity, state }) => [identity, state]),
        [[`${SPIFFE}/ns/shop/sa/${account}`, "Available"]],
      );
      const [{ certChain, rootCerts } = { certChain: [], rootCerts: [] }] = certificates;
      assert.match(Buffer.from(certChain[0]?.pem ?? "", "base64").toString(), /^-----BEGIN CERT/);
      assert.match(certChain[0]?.serialNumber ?? "", /^\d+$/);
      const lifetime =
        Date.parse(certChain[0]?.expirationTime ?? "") - Date.parse(certChain[0]?.validFrom ?? "");
      assert.ok(lifetime > 3_600_000 && lifetime < 48 * 3_600_000, `${lifetime} ms`);
      assert.equal(rootCerts.length, 1);
    }
  });

  test("has the pods that it captured, the version and the configuration", async () => {
    const { workloadState, version, config } = await configDump(cluster, "node2");
    const { uid = "" } = (await cluster.pod("shop/web-0")).metadata;
    assert.deepEqual(Object.keys(workloadState), [uid]);
    assert.deepEqual(workloadState[uid], {
      state: "Up",
      info: { name: "web-0", namespace: "shop", serviceAccount: "web" },
      connections: { inbound: [], outbound: [] },
    });
    assert.equal(typeof version.version, "string");
    assert.equal(config.nodeName, "node2");
  });
});
