/** The folder of objects loses files under a running mesh: nothing opens. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { waitForRecord } from "#test/support/access-log.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import { namespace, pod, SPIFFE } from "#test/support/objects.ts";
import { PodSockets } from "#test/support/pod-sockets.ts";
import { configDump, startMesh } from "#test/support/ztunnel-view.ts";

const PORT = 8080;

describe("the files of all pods, namespaces and policies", () => {
  let cluster: TestCluster;
  let sockets: PodSockets;

  before(async () => {
    cluster = await startMesh({
      objects: [
        namespace("shop", "ambient"),
        ...pod({ namespace: "shop", name: "client", node: "node1" }),
        ...pod({ namespace: "shop", name: "web", node: "node2" }),
        {
          apiVersion: "security.istio.io/v1",
          kind: "PeerAuthentication",
          metadata: { name: "strict", namespace: "shop" },
          spec: { mtls: { mode: "STRICT" } },
        },
      ],
    });
    sockets = new PodSockets(cluster);
    await sockets.serve("shop/web", PORT, (socket) => void socket.end("hello"));
  });

  after(async () => {
    sockets?.[Symbol.dispose]();
    await cluster?.stop();
  });

  test("when they vanish, un-enrol no pod and open no port", async () => {
    const { objects } = cluster.client.paths;
    for (const kind of ["Pod", "Namespace", "PeerAuthentication"]) {
      await rm(join(objects, kind), { recursive: true });
    }
    await cluster.until("istiod-lite says it", async () =>
      /has lost objects/.test(await cluster.istiod.logs()),
    );
    const { workloadState, policies } = await configDump(cluster, "node2");
    assert.equal(Object.values(workloadState).length, 1);
    assert.ok(policies.some(({ name }) => /strict/.test(name)));
    const ip = await cluster.podIp("shop/web");
    const { received } = await sockets.call("shop/client", { ip, port: PORT });
    assert.equal(received.toString(), "hello");
    await waitForRecord(cluster, "node2", {
      direction: "inbound",
      "src.identity": `${SPIFFE}/ns/shop/sa/client`,
    });
    // Plaintext: reset, at once or after it was accepted.
    const plain = sockets.dialFromNode("node1", { ip, port: PORT });
    const chunks = await plain.then((socket) => socket.toArray()).catch(() => []);
    assert.deepEqual(chunks, []);
  });

  test("deleted by the user, delete", async () => {
    await cluster.delete("PeerAuthentication", "shop/strict");
    await cluster.until("the policy is gone", async () => {
      const { policies } = await configDump(cluster, "node2");
      return !policies.some(({ name }) => /strict/.test(name));
    });
  });
});
