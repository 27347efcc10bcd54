/**
 * Calls to ztunnel's own ports, from every kind of pod to every kind of address (D4.1, D4.4):
 * refused or closed, never a loop, and ztunnel lives.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { waitForRecord } from "#test/support/access-log.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import { namespace, pod } from "#test/support/objects.ts";
import { PodSockets } from "#test/support/pod-sockets.ts";
import { openConnections, processUse, startMesh } from "#test/support/ztunnel-view.ts";

const PORTS = [15000, 15001, 15006, 15008, 15020, 15021, 15053, 15080];
/** Metrics and readiness are for scrapers and kubelets: they answer, on a node's own address. */
const PUBLIC_PORTS = [15020, 15021];
const CLOSED = /^(ECONNREFUSED|reset|end)$/;
const CLIENTS = ["captured/client", "uncaptured/client"];
const A = { captured: "a captured", uncaptured: "an uncaptured" } as const;
const NODES = ["node1", "node2"];
const APP_PORT = 8080;

const OBJECTS = [
  namespace("captured", "ambient"),
  namespace("uncaptured", undefined),
  ...["captured", "uncaptured"].flatMap((side) => [
    ...pod({ namespace: side, name: "client", node: "node1" }),
    ...pod({ namespace: side, name: "near", node: "node1" }),
    ...pod({ namespace: side, name: "far", node: "node2" }),
  ]),
];

/** Addresses by what they are, of one family. */
type Places = Readonly<Record<string, (client: string) => Promise<string>>>;

describe("a call to a port of ztunnel", () => {
  let cluster: TestCluster;
  let sockets: PodSockets;
  let pids: readonly number[];
  let descriptors: readonly number[];

  before(async () => {
    cluster = await startMesh({ objects: OBJECTS });
    sockets = new PodSockets(cluster);
    await sockets.serve("captured/far", APP_PORT, (socket) => socket.end("hello"));
    pids = await Promise.all(NODES.map((node) => cluster.ztunnel(node).pid()));
    descriptors = await Promise.all(NODES.map((node) => openDescriptors(node)));
  });

  after(async () => {
    sockets?.[Symbol.dispose]();
    await cluster?.stop();
  });

  async function openDescriptors(node: string): Promise<number> {
    return (await processUse(cluster, node)).descriptors;
  }

  async function nodeIp(name: string, family: "ipv4" | "ipv6"): Promise<string> {
    const { nodes } = await cluster.client.info();
    const ips = nodes.find((node) => node.name === name)?.ips ?? [];
    return ips.find((ip) => ip.includes(":") === (family === "ipv6")) ?? "";
  }

  const places = (family: "ipv4" | "ipv6"): Places => ({
    "its own address": (client) => cluster.podIp(client, family),
    localhost: async () => (family === "ipv4" ? "127.0.0.1" : "::1"),
    "a captured pod beside it": () => cluster.podIp("captured/near", family),
    "a captured pod elsewhere": () => cluster.podIp("captured/far", family),
    "an uncaptured pod": () => cluster.podIp("uncaptured/far", family),
    "its own node": () => nodeIp("node1", family),
    "another node": () => nodeIp("node2", family),
  });

  /** What becomes of an HTTP request to there. */
  async function outcome(client: string, ip: string, port: number): Promise<string> {
    const request = "GET /healthz/ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    const { how, received } = await sockets.call(client, { ip, port }, request);
    return received.length === 0 ? how : String(received).split("\r\n", 1).join();
  }

  for (const client of CLIENTS) {
    for (const family of ["ipv4", "ipv6"] as const) {
      for (const [place, find] of Object.entries(places(family))) {
        const kind = client.startsWith("captured") ? "captured" : "uncaptured";
        const title = `of ${place} from ${A[kind]} pod, ${family}, is refused or closed (D4.1)`;
        test(title, { timeout: 15_000 }, async () => {
          const ip = await find(client);
          const outcomes = await Promise.all(PORTS.map((port) => outcome(client, ip, port)));
          for (const [i, port] of PORTS.entries()) {
            const answers = PUBLIC_PORTS.includes(port) && place.endsWith(" node");
            assert.match(outcomes[i] ?? "", answers ? /^HTTP/ : CLOSED, `port ${port}`);
          }
        });
      }
    }
  }

  test("leaves no connection, no descriptor and no loop behind, and ztunnel alive", async () => {
    for (const [i, node] of NODES.entries()) {
      await cluster.until(`${node} has no open connection`, async () => {
        return (await openConnections(cluster, node)).length === 0;
      });
      assert.equal(await cluster.ztunnel(node).pid(), pids[i]);
      assert.equal(await cluster.ztunnel(node).isReady(), true);
      // Pooled tunnels stay for a while: one per destination that was called.
      const more = (await openDescriptors(node)) - (descriptors[i] ?? 0);
      assert.ok(more < 20, `${node}: ${more} descriptors more than before`);
    }
    const ip = await cluster.podIp("captured/far");
    const { received } = await sockets.call("captured/client", { ip, port: APP_PORT });
    assert.equal(String(received), "hello");
  });

  test("of localhost is logged as the recursion that it is", async () => {
    await waitForRecord(cluster, "node1", {
      "src.addr": /^127\.0\.0\.1:/,
      reason: "recursive-call",
    });
  });
});
