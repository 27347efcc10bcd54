/** What becomes of a pooled tunnel when the ztunnel at its other end dies. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Pod } from "#common/kubernetes/objects.ts";
import { redirectionOf, startCluster, type TestCluster } from "#test/support/cluster.ts";

const SERVER = "require('http').createServer((q, r) => r.end('ok')).listen(8080, '::')";
const pod = (name: string, node: string) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "shop" },
  spec: {
    nodeName: node,
    containers: [{ name: "app", image: "node", command: ["node", "-e", SERVER] }],
  },
});
const enrolled = (candidate: Pod) => redirectionOf(candidate) === "enabled";

let cluster: TestCluster;

before(async () => {
  const labels = { "istio.io/dataplane-mode": "ambient" };
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop", labels } };
  cluster = await startCluster({
    objects: [namespace, pod("client", "node1"), pod("server", "node2")],
  });
  await cluster.waitFor("shop/client", enrolled);
  await cluster.waitFor("shop/server", enrolled);
});
after(() => cluster?.stop());

test("the first call after the other node's ztunnel was killed and is back succeeds", async () => {
  const url = `http://${await cluster.podIp("shop/server")}:8080/`;
  const call = () => cluster.exec("shop/client", ["curl", "-sS", "-m", "5", url]);
  await cluster.until("the server serves", async () => (await call()).stdout === "ok");
  const old = await cluster.ztunnel("node2").pid();
  await cluster.ztunnel("node2").kill("SIGKILL");
  await cluster.until("node 2 has another ztunnel, which serves the pod", async () => {
    if ((await cluster.ztunnel("node2").pid()) === old) return false;
    const sockets = await cluster.inPodNetns("shop/server", ["ss", "-ltn"]);
    return sockets.stdout.includes(":15008");
  });
  const answer = await call();
  assert.equal(answer.stdout, "ok", answer.stderr);
});
