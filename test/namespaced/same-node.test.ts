/**
 * Two pods of one node, without a tunnel in between: to either of them, to policy and to whoever
 * reads logs and metrics it is as with one.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import type net from "node:net";
import { after, before, describe, test } from "node:test";
import { findRecords, waitForRecord } from "#test/support/access-log.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import { namespace, pod, SPIFFE, service } from "#test/support/objects.ts";
import { PodSockets, type Target } from "#test/support/pod-sockets.ts";
import { allow, deny } from "#test/support/policy-objects.ts";
import { startMesh } from "#test/support/ztunnel-view.ts";

const PORT = 8080;
const OBJECTS = [
  namespace("shop", "ambient"),
  ...pod({ namespace: "shop", name: "client", node: "node1" }),
  ...pod({ namespace: "shop", name: "web", node: "node1" }),
  service({ namespace: "shop", name: "web", port: 80, targetPort: PORT }),
];
const FROM_CLIENT = [{ from: [{ source: { principals: ["cluster.local/ns/shop/sa/client"] } }] }];

class Shop {
  readonly cluster: TestCluster;
  readonly sockets: PodSockets;
  readonly vip: Target;

  private constructor(cluster: TestCluster, sockets: PodSockets, vip: Target) {
    this.cluster = cluster;
    this.sockets = sockets;
    this.vip = vip;
  }

  static async start(env: Readonly<Record<string, string>> = {}): Promise<Shop> {
    const cluster = await startMesh({ objects: OBJECTS, ztunnel: { env } });
    const sockets = new PodSockets(cluster);
    await sockets.serve("shop/web", PORT, (socket) => {
      socket.write(`hello ${socket.remoteAddress?.replace("::ffff:", "")}\n`);
      socket.on("error", () => undefined).pipe(socket);
    });
    const { spec } = (await cluster.find("Service", "shop/web")) ?? {};
    return new Shop(cluster, sockets, { ip: spec?.clusterIP ?? "", port: 80 });
  }

  async stop(): Promise<void> {
    this.sockets[Symbol.dispose]();
    await this.cluster.stop();
  }

  call(text: string): Promise<{ how: string; received: Buffer; source: string }> {
    return this.sockets.call("shop/client", this.vip, text);
  }

  async letIn(): Promise<void> {
    await this.cluster.until("the call is let in", async () => {
      return (await this.call("ping")).how === "end";
    });
  }

  /** How the bytes of connections travelled, by either side's metrics. */
  async securities(reporter: string): Promise<readonly string[]> {
    const metrics = await this.cluster.ztunnel("node1").metrics();
    const opened = metrics.split("\n").filter((line) => {
      return line.startsWith("istio_tcp_connections_opened_total{") && line.includes(reporter);
    });
    return opened.map((line) => /connection_security_policy="(\w+)"/.exec(line)?.[1] ?? "");
  }
}

describe("two pods of one node", () => {
  let shop: Shop;

  before(async () => {
    shop = await Shop.start();
  });

  after(() => shop?.stop());

  test("talk both ways and to the end; the server sees its client's own address", async () => {
    const text = "x".repeat(3_000_000);
    const { how, received } = await shop.call(text);
    const ip = await shop.cluster.podIp("shop/client");
    assert.equal(how, "end");
    assert.equal(received.toString(), `hello ${ip}\n${text}`);
  });

  test("are logged and counted on both sides, with what happened to their bytes", async () => {
    const { source } = await shop.call("ping");
    const web = await shop.cluster.podIp("shop/web");
    const both = {
      "dst.addr": `${web}:15008`,
      "dst.hbone_addr": `${web}:${PORT}`,
      "dst.service": "web.shop.svc.cluster.local",
      "src.identity": `${SPIFFE}/ns/shop/sa/client`,
      "dst.identity": `${SPIFFE}/ns/shop/sa/web`,
      "src.addr": source,
    };
    await waitForRecord(shop.cluster, "node1", { ...both, direction: "outbound", bytes_sent: "4" });
    await waitForRecord(shop.cluster, "node1", { ...both, direction: "inbound", bytes_recv: "4" });
    for (const reporter of ["source", "destination"]) {
      await shop.cluster.until(`counted by the ${reporter}`, async () => {
        const seen = await shop.securities(`reporter="${reporter}"`);
        return seen.length > 0 && seen.every((security) => security === "same_node");
      });
    }
  });

  test("are judged by the destination's policies, live", async () => {
    const name = "only-others";
    await shop.cluster.apply(deny(FROM_CLIENT, { name, matchLabels: { app: "web" } }));
    // The first to be reset may have been let in before: then it was cut, not refused.
    const refused = { direction: "inbound", error: /policy rejection/ };
    await shop.cluster.until("a call is refused", async () => {
      await shop.call("ping");
      return (await findRecords(shop.cluster, "node1", refused)).length > 0;
    });
    await waitForRecord(shop.cluster, "node1", { direction: "outbound", error: /status: 401/ });
    await shop.cluster.delete("AuthorizationPolicy", `shop/${name}`);
    await shop.cluster.apply(allow(FROM_CLIENT, { name: "client" }));
    await shop.letIn();
    const standing = await greeted(shop);
    // Listened for before: it may come while the change is still being made.
    const cut = assert.rejects(once(standing, "end"), { code: "ECONNRESET" });
    await shop.cluster.delete("AuthorizationPolicy", "shop/client");
    await shop.cluster.apply(deny(FROM_CLIENT, { name }));
    await cut;
    await shop.cluster.delete("AuthorizationPolicy", `shop/${name}`);
    await shop.letIn();
  });

  test("hear of each other's reset", async () => {
    const { promise: accepted, resolve } = Promise.withResolvers<net.Socket>();
    await shop.sockets.serve("shop/web", PORT + 1, resolve);
    const ip = await shop.cluster.podIp("shop/web");
    const client = await shop.sockets.dial("shop/client", { ip, port: PORT + 1 });
    const server = await accepted;
    client.write("x");
    await once(server, "data");
    client.resetAndDestroy();
    const [error] = await once(server, "error");
    assert.equal(error.code, "ECONNRESET");
  });

  test("are parted when one of them is deleted", async () => {
    const standing = await greeted(shop);
    // Listened for before: it may come while the deletion is still being waited for.
    const parted = assert.rejects(once(standing, "end"), { code: "ECONNRESET" });
    await shop.cluster.deletePod("shop/web");
    await parted;
  });
});

test("the way without a tunnel can be turned off", async () => {
  const shop = await Shop.start({ SAME_NODE_FAST_PATH: "false" });
  try {
    const { source } = await shop.call("ping");
    await waitForRecord(shop.cluster, "node1", { "src.addr": source, direction: "outbound" });
    assert.deepEqual(await shop.securities('reporter="source"'), ["mutual_tls"]);
    const direct = { "src.addr": source, direction: "inbound" };
    assert.deepEqual(await findRecords(shop.cluster, "node1", direct), [], "it came by a tunnel");
  } finally {
    await shop.stop();
  }
});

/** A connection that stands: the server's greeting has come. */
async function greeted(shop: Shop): Promise<net.Socket> {
  const socket = await shop.sockets.dial("shop/client", shop.vip);
  await once(socket, "data");
  return socket.resume();
}
