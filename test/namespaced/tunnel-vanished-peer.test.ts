/** A tunnel whose other end is gone with its pod, and so never says goodbye. */
import { test } from "node:test";
import { namespace, pod } from "#test/support/objects.ts";
import { PodSockets } from "#test/support/pod-sockets.ts";
import { startMesh } from "#test/support/ztunnel-view.ts";

const PORT = 8080;

test("a pod's tunnel to a pod that is gone gives its descriptor back, TCP or no TCP", async () => {
  const [space, ...client] = [
    namespace("shop", "ambient"),
    ...pod({ namespace: "shop", name: "client", node: "node1" }),
  ];
  const server = pod({ namespace: "shop", name: "server", node: "node2" });
  await using cluster = await startMesh({ objects: [space, ...client, ...server] });
  using sockets = new PodSockets(cluster);
  await sockets.serve("shop/server", PORT, (socket) => {
    socket.on("error", () => undefined).pipe(socket);
  });
  const ip = await cluster.podIp("shop/server");
  const tunnels = async (): Promise<number> => {
    const { stdout } = await cluster.inPodNetns("shop/client", ["ss", "-Htan", "dport = :15008"]);
    return stdout.split("\n").filter((line) => line !== "").length;
  };
  await cluster.until("a call makes a tunnel", async () => {
    await sockets.call("shop/client", { ip, port: PORT }, "ping");
    return (await tunnels()) > 0;
  });
  await cluster.deletePod("shop/server");
  const descriptor = () => cluster.inPodNetns("shop/client", ["ss", "-Htanp", "dport = :15008"]);
  await cluster.until(
    "no process holds it any more",
    async () => !(await descriptor()).stdout.includes("users:"),
    { timeoutMs: 60_000 },
  );
});
