/** `outboundTrafficPolicy` for captured pods: what nobody described, refused or reached. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { waitForRecord } from "#test/support/access-log.ts";
import { redirectionOf, startCluster, type TestCluster } from "#test/support/cluster.ts";
import { namespace, pod, service, serviceEntry } from "#test/support/objects.ts";
import { type Call, PodSockets } from "#test/support/pod-sockets.ts";

const PORT = 8080;
const CLIENT = "shop/client";
const FAMILIES = ["ipv4", "ipv6"] as const;

function meshConfig(mode: "ALLOW_ANY" | "REGISTRY_ONLY"): object {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "istio", namespace: "istio-system" },
    data: { mesh: `outboundTrafficPolicy: {mode: ${mode}}` },
  };
}

for (const onDemand of [false, true]) {
  describe(`outboundTrafficPolicy${onDemand ? ", with XDS_ON_DEMAND" : ""}`, () => {
    let cluster: TestCluster;
    let sockets: PodSockets;
    /** Of a node: no workload is there. */
    let external: Readonly<Record<(typeof FAMILIES)[number], string>>;

    before(async () => {
      cluster = await startCluster({
        ...(onDemand && { ztunnel: { env: { XDS_ON_DEMAND: "true" } } }),
        objects: [
          namespace("shop", "ambient"),
          namespace("outside", undefined),
          ...pod({ namespace: "shop", name: "client", node: "node1" }),
          ...pod({ namespace: "shop", name: "web", node: "node2" }),
          ...pod({ namespace: "outside", name: "client", node: "node1" }),
          ...pod({ namespace: "outside", name: "db", node: "node2" }),
          service({ namespace: "shop", name: "web", port: 80, targetPort: PORT }),
        ],
      });
      for (const name of [CLIENT, "shop/web"]) {
        await cluster.waitFor(name, (each) => redirectionOf(each) === "enabled");
      }
      sockets = new PodSockets(cluster);
      const { nodes } = await cluster.client.info();
      const ips = nodes.find(({ name }) => name === "node2")?.ips ?? [];
      const ofFamily = (colon: boolean) => ips.find((ip) => ip.includes(":") === colon) ?? "";
      external = { ipv4: ofFamily(false), ipv6: ofFamily(true) };
      for (const server of ["shop/web", "outside/db"]) {
        await sockets.serve(server, PORT, (socket) => socket.end(server));
      }
      await sockets.serveOnNode("node2", PORT, (socket) => socket.end("external"));
    });
    after(async () => {
      sockets?.[Symbol.dispose]();
      await cluster?.stop();
    });

    const call = (ip: string, port = PORT, from = CLIENT): Promise<Call> =>
      sockets.call(from, { ip, port });

    const untilCalled = (ip: string, how: string) =>
      cluster.until(`${ip} ends "${how}"`, async () => (await call(ip)).how === how);

    test("ALLOW_ANY is the default: what nobody described is reached", async () => {
      for (const family of FAMILIES) {
        assert.equal((await call(external[family])).received.toString(), "external", family);
      }
    });

    test("REGISTRY_ONLY refuses what nobody described, and says so", async () => {
      await cluster.apply(meshConfig("REGISTRY_ONLY"));
      for (const family of FAMILIES) {
        await untilCalled(external[family], "reset");
        const refused = await call(external[family]);
        assert.deepEqual([refused.how, refused.received.toString()], ["reset", ""]);
        const record = await waitForRecord(cluster, "node1", {
          direction: "outbound",
          "src.addr": refused.source,
        });
        assert.equal(record.reason, "registry-only");
        assert.match(record.error ?? "", /is in no object of the mesh/);
      }
    });

    test("under REGISTRY_ONLY all that is described is reached, captured or not", async () => {
      for (const family of FAMILIES) {
        for (const server of ["shop/web", "outside/db"]) {
          const ip = await cluster.podIp(server, family);
          assert.equal((await call(ip)).received.toString(), server, family);
        }
      }
      const [vip = ""] = (await cluster.find("Service", "shop/web"))?.spec.clusterIPs ?? [];
      assert.equal((await call(vip, 80)).received.toString(), "shop/web");
    });

    test("REGISTRY_ONLY does not concern who is not captured", async () => {
      const { received } = await call(external.ipv4, PORT, "outside/client");
      assert.equal(received.toString(), "external");
    });

    test("a ServiceEntry opens the way to its addresses, and closes it with itself", async () => {
      const entry = serviceEntry("shop", "external", {
        hosts: ["external.example.com"],
        addresses: [external.ipv4],
        ports: [{ number: PORT, name: "tcp", protocol: "TCP" }],
        resolution: "NONE",
      });
      await cluster.apply(entry);
      await untilCalled(external.ipv4, "end");
      assert.equal((await call(external.ipv6)).how, "reset");
      await cluster.delete("ServiceEntry", "shop/external");
      await untilCalled(external.ipv4, "reset");
    });

    test("ALLOW_ANY opens all again", async () => {
      await cluster.apply(meshConfig("ALLOW_ANY"));
      for (const family of FAMILIES) await untilCalled(external[family], "end");
    });
  });
}
