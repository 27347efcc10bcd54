/**
 * What happens to a pod's protection when somebody takes it away, and where descriptors run out.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { redirectionOf, startCluster, type TestCluster } from "#test/support/cluster.ts";
import { namespace, pod } from "#test/support/objects.ts";
import { PodSockets, readBytes } from "#test/support/pod-sockets.ts";

const PORT = 8080;
const DESCRIPTORS = 250;
const ZTUNNEL = fileURLToPath(new URL("../../ztunnel/main.ts", import.meta.url));
const OBJECTS = [
  namespace("shop", "ambient"),
  namespace("outside", undefined),
  ...pod({ namespace: "shop", name: "client", node: "node1" }),
  ...pod({ namespace: "shop", name: "web", node: "node2" }),
  ...pod({ namespace: "outside", name: "plain", node: "node1" }),
  {
    apiVersion: "security.istio.io/v1",
    kind: "PeerAuthentication",
    metadata: { name: "strict", namespace: "shop" },
    spec: { mtls: { mode: "STRICT" } },
  },
];

/** Whether a pod gets its bytes back from shop/web in time: within a second unless given. */
async function isServed(
  cluster: TestCluster,
  sockets: PodSockets,
  from: string,
  patienceMs = 1_000,
): Promise<boolean> {
  const ip = await cluster.podIp("shop/web");
  const served = (async () => {
    const socket = await sockets.dial(from, { ip, port: PORT });
    try {
      socket.write("ping");
      return String(await readBytes(socket, 4)) === "ping";
    } finally {
      socket.destroy();
    }
  })().catch(() => false);
  return Promise.race([served, sleep(patienceMs, false, { ref: false })]);
}

async function startEcho(cluster: TestCluster, sockets: PodSockets): Promise<void> {
  await sockets.serve("shop/web", PORT, (socket) => void socket.pipe(socket));
  await cluster.until("the mesh serves", () => isServed(cluster, sockets, "shop/client"));
}

describe("rules that somebody removes in a pod", () => {
  for (const [what, ...nft] of [
    ["all of them", "flush", "ruleset"],
    ["one table", "delete", "table", "inet", "istio-ambient-nat"],
    ["the rules of one chain", "flush", "chain", "inet", "istio-ambient-nat", "istio-prerouting"],
  ] as const) {
    test(`are back within two seconds: ${what}`, async () => {
      await using cluster = await startCluster({ objects: OBJECTS });
      using sockets = new PodSockets(cluster);
      await startEcho(cluster, sockets);
      assert.equal(await isServed(cluster, sockets, "outside/plain"), false);
      await cluster.inPodNetns("shop/web", ["nft", ...nft]);
      const closed = async () => !(await isServed(cluster, sockets, "outside/plain"));
      await cluster.until("plaintext is refused again", closed, { timeoutMs: 2_000 });
      assert.equal(await isServed(cluster, sockets, "shop/client", 10_000), true);
      await cluster.until("the repair is logged", async () => {
        const logs = await cluster.ztunnel("node2").logs();
        return logs.includes("capture was lost and has been repaired");
      });
    });
  }
});

describe("a ztunnel without descriptors", () => {
  test("refuses what it cannot carry, keeps its pods announced, and recovers (D4.17)", async () => {
    const limited = `ulimit -n ${DESCRIPTORS}; exec "$0" "$@"`;
    const command = ["bash", "-c", limited, process.execPath, ZTUNNEL];
    await using cluster = await startCluster({ objects: OBJECTS, ztunnel: { command } });
    using sockets = new PodSockets(cluster);
    await startEcho(cluster, sockets);
    const node2 = cluster.ztunnel("node2");
    const pid = await node2.pid();
    const target = { ip: await cluster.podIp("shop/web"), port: PORT };
    const dials = Array.from({ length: 2 * DESCRIPTORS }, () =>
      sockets.dial("shop/client", target).catch(() => undefined),
    );
    await cluster.until("it says what is missing", async () => /EMFILE/.test(await node2.logs()));
    await cluster.until("it cannot check its pods", async () =>
      /capture of a pod could not be checked/.test(await node2.logs()),
    );
    assert.equal(redirectionOf(await cluster.pod("shop/web")), "enabled");
    for (const dial of dials) void dial.then((socket) => socket?.destroy());
    await cluster.until("it serves again", () => isServed(cluster, sockets, "shop/client"));
    assert.equal(await node2.pid(), pid);
  });
});
