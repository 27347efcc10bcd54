/** Settings of tunnels and sockets reach the kernel and the wire. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { TestCluster } from "#test/support/cluster.ts";
import { namespace, pod } from "#test/support/objects.ts";
import { PodSockets } from "#test/support/pod-sockets.ts";
import { startMesh } from "#test/support/ztunnel-view.ts";

const PORT = 8080;

let cluster: TestCluster;
let sockets: PodSockets;
before(async () => {
  cluster = await startMesh({
    objects: [
      namespace("shop", "ambient"),
      ...pod({ namespace: "shop", name: "client", node: "node1" }),
      ...pod({ namespace: "shop", name: "web", node: "node2" }),
    ],
    ztunnel: {
      env: {
        KEEPALIVE_TIME: "50s",
        POOL_MAX_STREAMS_PER_CONNECTION: "2",
        POOL_UNUSED_RELEASE_TIMEOUT: "1s",
        HTTP2_FRAME_SIZE: "16384",
        HTTP2_STREAM_WINDOW_SIZE: "65535",
        HTTP2_CONNECTION_WINDOW_SIZE: "65535",
      },
    },
  });
  sockets = new PodSockets(cluster);
});
after(async () => {
  sockets?.[Symbol.dispose]();
  await cluster?.stop();
});

/** The client's tunnels, one line each, as the kernel knows them. */
function tunnels(): Promise<readonly string[]> {
  return connectionsTo("shop/client", 15008);
}

async function connectionsTo(pod: string, port: number): Promise<readonly string[]> {
  const argv = ["ss", "-Htno", "state", "established", "dport", "=", `:${port}`];
  const { stdout } = await cluster.inPodNetns(pod, argv);
  return stdout.split("\n").filter((line) => line !== "");
}

test("tunnels take as many streams as is said, keep alive when it is said, and go when unused", async () => {
  await sockets.serve("shop/web", PORT, (socket) => void socket.pipe(socket));
  const target = { ip: await cluster.podIp("shop/web"), port: PORT };
  const open = await sockets.dialMany("shop/client", target, 6);
  for (const socket of open) {
    const answer = new Promise((resolve) => socket.once("data", resolve));
    socket.write("here");
    await answer;
  }
  // Three are full; the kernel counts the seconds to the first probe.
  const lines = await tunnels();
  assert.equal(lines.length, 3, lines.join("\n"));
  // What is sent and not acknowledged yet has a timer of its own, which comes first.
  await cluster.until("tunnels are kept alive", async () =>
    (await tunnels()).every((line) => /timer:\(keepalive,(50|[34]\d)(\.\d+)?sec,0\)/.test(line)),
  );
  // Those to the application get theirs when they have proved to last.
  await cluster.until("connections to the application are kept alive", async () => {
    const served = await connectionsTo("shop/web", PORT);
    return served.length === 6 && served.every((line) => line.includes("timer:(keepalive,"));
  });
  for (const socket of open) socket.destroy();
  await cluster.until("unused tunnels are closed", async () => (await tunnels()).length === 0, {
    timeoutMs: 30_000,
  });
});

test("small windows and frames carry many bytes, unchanged", async () => {
  const target = { ip: await cluster.podIp("shop/web"), port: PORT };
  const text = "0123456789abcdef".repeat(256 * 1024);
  const { received } = await sockets.call("shop/client", target, text);
  assert.ok(received.equals(Buffer.from(text)));
});
