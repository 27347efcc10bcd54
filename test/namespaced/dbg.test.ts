import { test } from "node:test";
import { namespace, pod } from "#test/support/objects.ts";
import { startCluster } from "#test/support/cluster.ts";
test("x", async () => {
  const cluster = await startCluster({ allowUnready: true, objects: [  namespace("shop", "ambient"),
  ...pod({ namespace: "shop", name: "client", node: "node1" })] });
  await new Promise((r) => setTimeout(r, 3000));
  console.log(await cluster.ztunnel("node1").logs());
  console.log(await cluster.istiod.logs());
  await cluster.stop();
});
