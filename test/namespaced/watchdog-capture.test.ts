/**
 * A pod's capture is taken away under traffic (D4.7, D4.9): noticed, put back, counted, shown on
 * the pod; and nothing that STRICT refuses is served meanwhile, nor goes on in plaintext after.
 */
import assert from "node:assert/strict";
import type net from "node:net";
import { after, before, describe, test } from "node:test";
import type { RepairReason } from "#common/model/captured-pod.ts";
import { redirectionOf, startCluster, type TestCluster } from "#test/support/cluster.ts";
import { namespace, pod } from "#test/support/objects.ts";
import { PodSockets, readBytes } from "#test/support/pod-sockets.ts";

const PORT = 8080;
const DETECTED_WITHIN_MS = 5_000;
const CLIENT = "shop/client";
const OBJECTS = [
  namespace("shop", "ambient"),
  namespace("outside", undefined),
  ...pod({ namespace: "shop", name: "client", node: "node1" }),
  ...pod({ namespace: "shop", name: "web", node: "node2" }),
  ...pod({ namespace: "outside", name: "plain", node: "node2" }),
  {
    apiVersion: "security.istio.io/v1",
    kind: "PeerAuthentication",
    metadata: { name: "strict", namespace: "shop" },
    spec: { mtls: { mode: "STRICT" } },
  },
];

/** In one transaction: with either of the two in place nothing leaves in plaintext. */
const OPEN_THE_WAY_OUT =
  "flush chain inet istio-ambient-nat istio-output; " +
  "flush chain inet istio-ambient-mangle ambient-guard";

describe("a captured pod whose rules are taken away", () => {
  let cluster: TestCluster;
  let sockets: PodSockets;
  /** The source ports of connections as their server saw them, and as the client's were. */
  const seenPorts = new Set<number | undefined>();
  const clientPorts = new Set<number>();
  /** Of the next connection: below those that the kernel gives to ztunnel's own. */
  let nextPort = 20_000;

  before(async () => {
    cluster = await startCluster({ objects: OBJECTS });
    sockets = new PodSockets(cluster);
    for (const server of ["shop/web", "outside/plain"]) await serve(server);
    await cluster.until("the mesh serves", async () => (await call("shop/web")) === "ping");
  });
  after(async () => {
    sockets?.[Symbol.dispose]();
    await cluster?.stop();
  });

  const serve = (name: string) =>
    sockets.serve(name, PORT, (socket) => {
      seenPorts.add(socket.remotePort);
      socket.pipe(socket);
    });
  const echo = async (socket: net.Socket): Promise<string> => {
    socket.write("ping");
    return String(await readBytes(socket, 4));
  };
  const dial = async (server: string, family?: "ipv4" | "ipv6") =>
    sockets.dial(CLIENT, {
      ip: await cluster.podIp(server, family),
      port: PORT,
      localPort: nextPort++,
    });
  const call = async (server: string): Promise<string> => {
    const socket = await dial(server).catch(() => undefined);
    if (socket?.localPort !== undefined) clientPorts.add(socket.localPort);
    const answer = socket === undefined ? "refused" : await echo(socket).catch(() => "refused");
    socket?.destroy();
    return answer;
  };
  const repairs = (reason: RepairReason, node = "node1") =>
    cluster.ztunnel(node).metric("ambient_capture_repairs_total", { reason });
  const repaired = (reason: RepairReason, more: number, node = "node1") =>
    cluster.until(
      `a repair is counted: ${reason}`,
      async () => (await repairs(reason, node)) >= more,
      { timeoutMs: DETECTED_WITHIN_MS },
    );

  test("is refused by STRICT meanwhile, and keeps its connections; the pod says so (D4.7)", async () => {
    const standing = await dial("shop/web");
    assert.equal(await echo(standing), "ping");
    for (let flush = 1; flush <= 3; flush++) {
      await cluster.inPodNetns(CLIENT, ["nft", OPEN_THE_WAY_OUT]);
      await call("shop/web");
      await repaired("rules-missing", flush);
    }
    assert.equal(await echo(standing), "ping");
    assert.equal(await call("shop/web"), "ping");
    await cluster.waitFor(CLIENT, ({ metadata }) => {
      const told = metadata.annotations?.["ambientmesh/capture-repairs"] ?? "";
      return /^3, last rules-missing: [0-9]+ of [0-9]+ rules/.test(told);
    });
    assert.equal(redirectionOf(await cluster.pod(CLIENT)), "enabled");
    // The server has seen nobody but its own ztunnel: what came in plaintext was refused.
    assert.deepEqual(
      [...clientPorts].filter((port) => seenPorts.has(port)),
      [],
    );
    standing.destroy();
  });

  for (const family of ["ipv4", "ipv6"] as const) {
    test(`loses the connections that it opens in plaintext meanwhile (${family})`, async () => {
      const ztunnel = cluster.ztunnel("node1");
      const ended = () => ztunnel.metric("ambient_capture_ended_connections_total");
      const before = { ended: await ended(), repairs: await repairs("rules-missing") };
      // It is stopped meanwhile: it would often be faster than a connection.
      await ztunnel.kill("SIGSTOP");
      let lost: net.Socket;
      try {
        await cluster.inPodNetns(CLIENT, ["nft", OPEN_THE_WAY_OUT]);
        lost = await dial("outside/plain", family);
        const { localPort } = lost;
        assert.equal(await echo(lost), "ping");
        assert.ok(seenPorts.has(localPort), "it went out in plaintext");
      } finally {
        await ztunnel.kill("SIGCONT");
      }
      lost.resume();
      await repaired("rules-missing", before.repairs + 1);
      await cluster.until("it is ended", () => lost.destroyed);
      assert.ok((await ended()) > before.ended);
    });
  }

  test("has a listener back that dies, and keeps its connections", async () => {
    const standing = await dial("shop/web");
    assert.equal(await echo(standing), "ping");
    const argv = ["ss", "-K", "-t", "-l", "-n", "sport = :15008"];
    await cluster.inPodNetns("shop/web", argv);
    await repaired("listener-lost", 1, "node2");
    assert.equal(await call("shop/web"), "ping");
    assert.equal(await echo(standing), "ping");
    standing.destroy();
  });

  test("has its DNS captured no more, and again, as its annotation says, and keeps its connections", async () => {
    const standing = await dial("shop/web");
    const rules = async () => (await cluster.inPodNetns(CLIENT, ["nft", "list", "ruleset"])).stdout;
    for (const dns of ["false", "true"]) {
      for (const object of pod({ namespace: "shop", name: "client", node: "node1" })) {
        const { kind, metadata } = object as { kind: string; metadata: object };
        const annotations = { "ambient.istio.io/dns-capture": dns };
        if (kind === "Pod") {
          await cluster.apply({ ...object, metadata: { ...metadata, annotations } });
        }
      }
      const isWanted = dns === "true";
      await cluster.until("the rules are these", async () => {
        return (await rules()).includes("15053") === isWanted;
      });
      assert.equal(await echo(standing), "ping");
      assert.equal(await call("shop/web"), "ping");
    }
    standing.destroy();
  });

  test("comes back under the same name with all of it", async () => {
    const web = OBJECTS.filter((object) => JSON.stringify(object).includes('"name":"web"'));
    const { uid } = (await cluster.pod("shop/web")).metadata;
    await cluster.delete("Pod", "shop/web");
    await cluster.until("the pod is gone", async () => !(await cluster.find("Pod", "shop/web")));
    await cluster.apply(...web);
    await cluster.waitFor("shop/web", (again) => redirectionOf(again) === "enabled");
    assert.notEqual((await cluster.pod("shop/web")).metadata.uid, uid);
    await serve("shop/web");
    await cluster.until("it is served", async () => (await call("shop/web")) === "ping");
  });

  test("has its rules once, and others' still, after its ztunnel was replaced (D4.9)", async () => {
    const rules = async () => {
      const { stdout } = await cluster.inPodNetns(CLIENT, ["nft", "-s", "list", "ruleset"]);
      const policy = await cluster.inPodNetns(CLIENT, ["ip", "rule"]);
      return stdout + policy.stdout;
    };
    await cluster.inPodNetns(CLIENT, ["iptables-legacy", "-A", "OUTPUT", "-d", "192.0.2.7"]);
    await cluster.inPodNetns(CLIENT, ["nft", "add", "table", "inet", "own"]);
    const before = await rules();
    const pid = await cluster.ztunnel("node1").pid();
    await cluster.ztunnel("node1").kill("SIGKILL");
    await cluster.until("another one is ready", async () => {
      const node1 = cluster.ztunnel("node1");
      return (await node1.pid()) !== pid && (await node1.isReady());
    });
    await cluster.until("it is served", async () => (await call("shop/web")) === "ping");
    assert.deepEqual((await rules()).split("\n").sort(), before.split("\n").sort());
    const { stdout } = await cluster.inPodNetns(CLIENT, ["iptables-legacy", "-S", "OUTPUT"]);
    assert.match(stdout, /-d 192\.0\.2\.7/);
  });
});
