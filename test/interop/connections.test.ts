/** Stock and own ztunnels between each other: who reaches whom, as whom, by which way. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { IpAddress } from "#common/model/ip.ts";
import { waitForRecord } from "#test/support/access-log.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import { namespace, pod, SPIFFE, service } from "#test/support/objects.ts";
import { PodSockets } from "#test/support/pod-sockets.ts";
import { configDump, startMesh } from "#test/support/ztunnel-view.ts";
import { fabrics } from "./fabrics.ts";

const PORT = 8080;
const NODES = ["node1", "node2"] as const;
const FAMILIES = ["ipv4", "ipv6"] as const;
const BULK_BYTES = 20 * 1024 * 1024;

const OBJECTS = [
  namespace("shop", "ambient"),
  namespace("outside", undefined),
  ...NODES.flatMap((node) => [
    ...pod({ namespace: "shop", name: `client-${node}`, node }),
    ...pod({ namespace: "shop", name: `web-${node}`, node }),
    service({ namespace: "shop", name: `web-${node}`, targetPort: PORT }),
    ...pod({ namespace: "outside", name: `client-${node}`, node }),
    ...pod({ namespace: "outside", name: `web-${node}`, node }),
  ]),
];

for (const { title, stockZtunnel } of fabrics()) {
  describe(`with ${title}, a connection`, () => {
    let cluster: TestCluster;
    let sockets: PodSockets;

    before(async () => {
      cluster = await startMesh({ objects: OBJECTS, stockZtunnel });
      sockets = new PodSockets(cluster);
      for (const node of NODES) {
        for (const side of ["shop", "outside"]) {
          const name = `${side}/web-${node}`;
          await sockets.serve(name, PORT, (socket) => {
            const peer = socket.remoteAddress?.replace("::ffff:", "");
            socket.write(`${name} ${peer}\n`);
            socket.pipe(socket);
          });
        }
      }
    });
    after(async () => {
      sockets?.[Symbol.dispose]();
      await cluster?.stop();
    });

    async function targets(node: string, family: "ipv4" | "ipv6") {
      const { spec } = (await cluster.find("Service", `shop/web-${node}`)) ?? {};
      const vip = spec?.clusterIPs?.find((ip) => ip.includes(":") === (family === "ipv6")) ?? "";
      const ip = await cluster.podIp(`shop/web-${node}`, family);
      return { "its service": { ip: vip, port: 80 }, "its address": { ip, port: PORT } };
    }

    for (const from of NODES) {
      for (const to of NODES) {
        for (const family of FAMILIES) {
          for (const way of ["its service", "its address"] as const) {
            test(`from ${from} to ${to} by ${way}, ${family}, has both identities in both logs`, async () => {
              const client = `shop/client-${from}`;
              const target = (await targets(to, family))[way];
              const { received, how, source } = await sockets.call(client, target, "ping");
              const ip = await cluster.podIp(client, family);
              assert.deepEqual([received.toString(), how], [`shop/web-${to} ${ip}\nping`, "end"]);
              const ends = {
                "src.workload": `client-${from}`,
                "src.identity": `${SPIFFE}/ns/shop/sa/client-${from}`,
                "dst.workload": `web-${to}`,
                "dst.identity": `${SPIFFE}/ns/shop/sa/web-${to}`,
              };
              const out = { ...ends, direction: "outbound", "src.addr": source };
              await waitForRecord(cluster, from, { ...out, bytes_sent: "4" });
              await waitForRecord(cluster, to, { ...ends, direction: "inbound", bytes_recv: "4" });
            });
          }
        }
      }
    }

    for (const node of NODES) {
      test(`from outside the mesh reaches a pod of ${node}, and has no identity`, async () => {
        const ip = await cluster.podIp(`shop/web-${node}`);
        const from = node === "node1" ? "node2" : "node1";
        const target = { ip, port: PORT };
        const { source, received } = await sockets.call(`outside/client-${from}`, target);
        assert.match(received.toString(), new RegExp(`^shop/web-${node} `));
        const record = await waitForRecord(cluster, node, { "src.addr": source });
        assert.equal(record["src.identity"], undefined);
        assert.equal(record.direction, "inbound");
      });

      test(`from a pod of ${node} reaches what is outside the mesh`, async () => {
        const other = node === "node1" ? "node2" : "node1";
        const ip = await cluster.podIp(`outside/web-${other}`);
        const call = await sockets.call(`shop/client-${node}`, { ip, port: PORT }, "ping");
        assert.match(call.received.toString(), /^outside\/web-/);
      });

      test(`from ${node} carries many bytes both ways, unchanged`, async () => {
        const other = node === "node1" ? "node2" : "node1";
        const target = (await targets(other, "ipv4"))["its service"];
        const sent = Buffer.alloc(BULK_BYTES, "0123456789abcdef");
        const text = sent.toString("latin1");
        const { received } = await sockets.call(`shop/client-${node}`, target, text);
        const body = received.subarray(received.indexOf(0x0a) + 1);
        assert.ok(body.equals(sent), `${body.length} of ${sent.length} bytes came back`);
      });

      test(`to 15008 of a pod of ${node} without HBONE gets nothing`, async () => {
        const ip = (await cluster.podIp(`shop/web-${node}`)) as IpAddress;
        const from = node === "node1" ? "node2" : "node1";
        const target = { ip, port: 15008 };
        const call = await sockets.call(`outside/client-${from}`, target, "GET / HTTP/1.1\r\n\r\n");
        assert.equal(call.received.includes("web-"), false);
      });
    }

    test("is known to both ztunnels by the same state", async () => {
      const [first, second] = await Promise.all(NODES.map((node) => configDump(cluster, node)));
      const workloads = (dump: typeof first) =>
        Object.fromEntries((dump?.workloads ?? []).map(({ uid, ...rest }) => [uid, rest]));
      assert.deepEqual(workloads(second), workloads(first));
      const services = (dump: typeof first) =>
        Object.fromEntries((dump?.services ?? []).map((one) => [one.hostname, one]));
      assert.deepEqual(services(second), services(first));
    });
  });
}
