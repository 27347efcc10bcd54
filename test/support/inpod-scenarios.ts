/** What has to hold for any ztunnel beside a CNI agent, ours and Istio's alike, one by one. */
import assert from "node:assert/strict";
import { waitForRecord } from "#test/support/access-log.ts";
import { CLIENT, type InpodMesh } from "#test/support/inpod-mesh.ts";
import { pod, SPIFFE } from "#test/support/objects.ts";
import { configDump } from "#test/support/ztunnel-view.ts";

export type Scenario = (mesh: InpodMesh) => Promise<void>;

/** In the order in which they have to run: each leaves the mesh as the next one takes it. */
export const AGENT_SCENARIOS: Readonly<Record<string, Scenario>> = {
  "serves the pods that it is given": servesItsPods,
  "goes on without its agent, and takes a new pod from the next one": goesOnWithout,
  "lets a pod go that was removed while the agent was away": forgetsRemoved,
  "is given its pods again after it was killed": survivesKill,
  "lets a pod go that leaves the mesh, which gets its own network back": releases,
};

async function throughTheMesh(mesh: InpodMesh, client = "client"): Promise<void> {
  const record = await mesh.call(`shop/${client}`, "node1");
  assert.equal(record["src.identity"], `${SPIFFE}/ns/shop/sa/${client}`);
  assert.match(record["dst.addr"] ?? "", /:15008$/);
}

async function servesItsPods(mesh: InpodMesh): Promise<void> {
  // That a pod speaks HBONE is known to its own ztunnel a little later than to the cluster.
  await mesh.cluster.until("web is known to speak HBONE", async () => {
    const { workloads } = await configDump(mesh.cluster, "node1");
    return workloads.some(({ name, protocol }) => name === "web" && protocol === "HBONE");
  });
  await throughTheMesh(mesh);
  assert.equal(await mesh.served("node1"), "client");
  assert.equal(await mesh.served("node2"), "web");
}

async function goesOnWithout(mesh: InpodMesh): Promise<void> {
  await mesh.agent("node1").stop();
  await throughTheMesh(mesh);
  await mesh.agent("node1").start();
  await mesh.cluster.apply(...pod({ ...CLIENT, name: "late" }));
  await mesh.cluster.waitFor("shop/late", ({ status }) => status?.phase === "Running");
  await throughTheMesh(mesh, "late");
  await throughTheMesh(mesh);
}

async function forgetsRemoved(mesh: InpodMesh): Promise<void> {
  const { cluster } = mesh;
  await mesh.agent("node1").stop();
  await cluster.delete("Pod", "shop/late");
  await cluster.until("the pod is gone", async () => !(await cluster.find("Pod", "shop/late")));
  assert.equal(await mesh.served("node1"), "client late");
  await mesh.agent("node1").start();
  await mesh.untilServed("node1", "client");
  await throughTheMesh(mesh);
}

async function survivesKill(mesh: InpodMesh): Promise<void> {
  const ztunnel = mesh.cluster.ztunnel("node2");
  const pid = await ztunnel.pid();
  await ztunnel.kill();
  await mesh.cluster.until("another one runs", async () => (await ztunnel.pid()) !== pid);
  await mesh.untilServed("node2", "web");
  await throughTheMesh(mesh);
}

async function releases(mesh: InpodMesh): Promise<void> {
  const labels = { "istio.io/dataplane-mode": "none" };
  await mesh.cluster.apply(...pod({ ...CLIENT, labels }));
  await mesh.untilServed("node1", "");
  const { source, received } = await mesh.sockets.call("shop/client", await mesh.webAddress());
  assert.equal(received.toString(), "web");
  const record = await waitForRecord(mesh.cluster, "node2", { "src.addr": source });
  assert.equal(record["src.identity"], undefined);
}
