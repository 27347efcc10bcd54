/** A cluster with the mesh: its programs are kept running, and pods wait for their capture. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isReady } from "#common/kubernetes/pod-readiness.ts";
import { redirectionOf, startCluster, type TestCluster } from "#test/support/cluster.ts";

const NAMESPACE = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio.io/dataplane-mode: ambient}}
`;

function podOn(node: string, name: string): object {
  const server =
    "require('http').createServer((q, r) => r.end(q.socket.remoteAddress)).listen(8080)";
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "shop" },
    spec: {
      nodeName: node,
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: "c",
          image: "node",
          command: ["node", "-e", server],
          readinessProbe: { httpGet: { port: 8080 } },
        },
      ],
    },
  };
}

describe("a cluster with the mesh", () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await startCluster({
      objects: [NAMESPACE, podOn("node1", "a"), podOn("node2", "b")],
    });
  });
  after(() => cluster.stop());

  const call = async () => {
    const url = `http://${await cluster.podIp("shop/b")}:8080/`;
    return cluster.exec("shop/a", ["curl", "-sS", "-m5", url]);
  };

  test("starts with its pods captured, and ready by probes from their nodes", async () => {
    for (const name of ["shop/a", "shop/b"]) {
      assert.equal(redirectionOf(await cluster.pod(name)), "enabled");
      assert.ok(isReady(await cluster.pod(name)));
    }
    const { code, stdout, stderr } = await call();
    assert.equal(code, 0, stderr);
    assert.equal(stdout, `::ffff:${await cluster.podIp("shop/a")}`);
  });

  test("shows the programs of the mesh as pods, with their logs", async () => {
    const pods = await cluster.list("Pod", "istio-system");
    assert.deepEqual(
      pods.map(({ metadata }) => metadata.name),
      ["istiod", "ztunnel-node1", "ztunnel-node2"],
    );
    assert.ok(pods.every(isReady));
    assert.match(await cluster.ztunnel("node1").logs(), /ztunnel/);
    assert.match(await cluster.istiod.logs(), /istiod/);
    const dump = await cluster.ztunnel("node1").configDump();
    assert.ok(JSON.stringify(dump).includes("10.244.1."));
  });

  test("starts a ztunnel again that was killed, and traffic flows again", async () => {
    const before = await cluster.ztunnel("node2").pid();
    await cluster.ztunnel("node2").kill();
    await cluster.until("another ztunnel is ready", async () => {
      return (
        (await cluster.ztunnel("node2").pid()) !== before && cluster.ztunnel("node2").isReady()
      );
    });
    const succeeds = async () => (await call()).code === 0;
    await cluster.until("the call succeeds", succeeds, { timeoutMs: 40_000 });
    const told = cluster.events.find(({ text }) => text.startsWith("ztunnel-node2 was ended by"));
    assert.match(told?.hint ?? "", /meshctl logs ztunnel-node2 -n istio-system --previous/);
  });

  test("publishes what could not be written as soon as it can be", async () => {
    const folder = join(cluster.client.paths.objects, "PeerAuthentication");
    await writeFile(folder, "in the way");
    const object = {
      apiVersion: "security.istio.io/v1",
      kind: "PeerAuthentication",
      metadata: { name: "late", namespace: "shop" },
      spec: {},
    };
    const applied = cluster.apply(object);
    await cluster.until("the failure is told", () =>
      cluster.events.some(({ hint }) => hint?.includes("tried again") ?? false),
    );
    await rm(folder);
    await applied;
    const published = join(folder, "shop", "late.json");
    await cluster.until("it is published", () => existsSync(published));
  });

  test("does not begin a pod whose traffic nobody captures (D4.8)", async () => {
    await cluster.ztunnel("node1").stop();
    await cluster.apply(podOn("node1", "late"));
    await cluster.waitFor("shop/late", (pod) => {
      return /waiting for ztunnel on node1 to capture/.test(pod.status?.message ?? "");
    });
    await sleep(300);
    assert.equal((await cluster.pod("shop/late")).status?.phase, "Pending");
    await cluster.ztunnel("node1").start();
    await cluster.waitFor("shop/late", isReady, { timeoutMs: 20_000 });
    assert.equal(redirectionOf(await cluster.pod("shop/late")), "enabled");
  });

  test("gives tokens that istiod-lite could check, and names for it", async () => {
    const token = await cluster.token({
      namespace: "shop",
      serviceAccount: "default",
      podName: "a",
      podUid: "u",
      node: "node1",
    });
    const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
    assert.equal(claims.sub, "system:serviceaccount:shop:default");
    const { stdout } = await cluster.exec("shop/a", ["getent", "hosts", "istiod.istio-system.svc"]);
    assert.match(stdout, /^10\.96\./);
  });
});
