/** Servers outside the mesh, behind the addresses that a ServiceEntry gets or names. */
import assert from "node:assert/strict";
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { waitForRecord } from "#test/support/access-log.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import { namespace, pod, serviceEntry, workloadEntry } from "#test/support/objects.ts";
import { PodSockets } from "#test/support/pod-sockets.ts";
import { startMesh } from "#test/support/ztunnel-view.ts";

const CLIENT = "shop/client";
const PORT = 8080;
const SERVER = `
require("node:net")
  .createServer((socket) => socket.end("db for " + socket.remoteAddress))
  .listen(${PORT}, "::", () => console.log("listening"));
`;

describe("a ServiceEntry", () => {
  let cluster: TestCluster;
  let sockets: PodSockets;
  let server: ChildProcessWithoutNullStreams;
  /** An address of a node: nobody knows of a workload there. */
  let external = "";

  before(async () => {
    cluster = await startMesh({
      objects: [
        namespace("shop", "ambient"),
        namespace("bank", "ambient"),
        ...pod({ namespace: "shop", name: "client", node: "node1" }),
        ...pod({ namespace: "bank", name: "client", node: "node1" }),
      ],
    });
    sockets = new PodSockets(cluster);
    const { nodes } = await cluster.client.info();
    external = nodes.find(({ name }) => name === "node2")?.ips[0] ?? "";
    const argv = await cluster.nodeNetnsArgv("node2", [process.execPath, "-e", SERVER]);
    server = spawn(argv[0] ?? "", argv.slice(1));
    await once(server.stdout, "data");
  });

  after(async () => {
    server?.kill();
    sockets?.[Symbol.dispose]();
    await cluster?.stop();
  });

  const automaticAddress = async (name: string): Promise<string> => {
    let value = "";
    await cluster.until(`ServiceEntry ${name} has an address`, async () => {
      const { status } = (await cluster.find("ServiceEntry", name)) ?? {};
      value = status?.addresses?.[0]?.value ?? "";
      return value !== "";
    });
    return value;
  };

  const answers = (ip: string, port: number, from = CLIENT) =>
    cluster.until(`${ip}:${port} answers ${from}`, async () => {
      const { received } = await sockets.call(from, { ip, port });
      return received.toString().startsWith("db for ");
    });

  test("without an address gets one, and connections to it reach the endpoint", async () => {
    await cluster.apply(
      serviceEntry("shop", "db", {
        hosts: ["db.example.com"],
        ports: [{ number: 5432, name: "tcp", protocol: "TCP", targetPort: PORT }],
        resolution: "STATIC",
        endpoints: [{ address: external }],
      }),
    );
    const vip = await automaticAddress("shop/db");
    assert.match(vip, /^240\.240\./);
    await answers(vip, 5432);
    const record = await waitForRecord(cluster, "node1", {
      direction: "outbound",
      "dst.service": "db.example.com",
    });
    assert.equal(record["dst.addr"], `${external}:${PORT}`);
    const { status } = (await cluster.find("ServiceEntry", "shop/db")) ?? {};
    assert.deepEqual(
      status?.conditions?.map(({ type, reason }) => [type, reason]),
      [["ZtunnelAccepted", "Accepted"]],
    );
  });

  test("selects WorkloadEntries, at the ports that they have", async () => {
    await cluster.apply(
      serviceEntry("shop", "vms", {
        hosts: ["vms.example.com"],
        ports: [{ number: 80, name: "db", protocol: "TCP" }],
        resolution: "STATIC",
        workloadSelector: { labels: { app: "vm" } },
      }),
      workloadEntry("shop", "vm-1", {
        address: external,
        labels: { app: "vm" },
        ports: { db: PORT },
      }),
    );
    await answers(await automaticAddress("shop/vms"), 80);
    await cluster.delete("WorkloadEntry", "shop/vm-1");
    const vip = await automaticAddress("shop/vms");
    await cluster.until("nobody answers any more", async () => {
      const { received } = await sockets.call(CLIENT, { ip: vip, port: 80 });
      return received.length === 0;
    });
  });

  test("exported to its own namespace only is there for nobody else", async () => {
    const port = { number: 5432, name: "tcp", protocol: "TCP", targetPort: PORT };
    await cluster.apply(
      serviceEntry("shop", "own", {
        hosts: ["own.example.com"],
        addresses: ["192.0.2.10"],
        ports: [port],
        resolution: "STATIC",
        endpoints: [{ address: external }],
        exportTo: ["."],
      }),
      serviceEntry("shop", "all", {
        hosts: ["all.example.com"],
        addresses: ["192.0.2.11"],
        ports: [port],
        resolution: "STATIC",
        endpoints: [{ address: external }],
      }),
    );
    await answers("192.0.2.10", 5432);
    await answers("192.0.2.11", 5432, "bank/client");
    const refused = await sockets.call("bank/client", { ip: "192.0.2.10", port: 5432 });
    assert.equal(refused.received.length, 0);
  });

  test("cannot take a pod's address, and says so", async () => {
    const ip = await cluster.podIp("bank/client");
    await sockets.serve("bank/client", PORT, (socket) => void socket.end("bank"));
    await cluster.apply(
      serviceEntry("shop", "thief", {
        hosts: ["thief.example.com"],
        addresses: [ip],
        ports: [{ number: PORT, name: "tcp", protocol: "TCP" }],
        resolution: "STATIC",
        endpoints: [{ address: external }],
      }),
    );
    await cluster.until("the status says it", async () => {
      const { status } = (await cluster.find("ServiceEntry", "shop/thief")) ?? {};
      return /belongs to Pod\/bank\/client/.test(status?.conditions?.[0]?.message ?? "");
    });
    const { received } = await sockets.call(CLIENT, { ip, port: PORT });
    assert.equal(received.toString(), "bank");
  });
});
