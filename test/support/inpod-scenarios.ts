/**
 * What has to hold for any ztunnel that takes its pods from a CNI agent, ours and Istio's alike. The
 * agent is this project's; the ztunnel is the program at a path.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parseStockZtunnels } from "#meshctl/stock-ztunnel-option.ts";
import { waitForRecord } from "#test/support/access-log.ts";
import { startCluster, type TestCluster } from "#test/support/cluster.ts";
import { MeshProgram } from "#test/support/mesh-program.ts";
import { namespace, pod, SPIFFE } from "#test/support/objects.ts";
import { PodSockets } from "#test/support/pod-sockets.ts";
import { configDump, startMesh } from "#test/support/ztunnel-view.ts";

const PORT = 8080;
const CLIENT = { namespace: "shop", name: "client", node: "node1" };
const WEB = { namespace: "shop", name: "web", node: "node2" };
const OBJECTS = [namespace("shop", "ambient"), ...pod(CLIENT), ...pod(WEB)];

/** Declares the tests for the ztunnel at `path`. */
export function describeInpod(title: string, path: string): void {
  describeAgent(title, path);
  describeLocalState(title, path);
}

function describeAgent(title: string, path: string): void {
  describe(`${title} beside a CNI agent`, () => {
    let cluster: TestCluster;
    let sockets: PodSockets;
    const agent = (node: string) => new MeshProgram(cluster.client, `istio-cni-${node}`);

    before(async () => {
      cluster = await startMesh({ objects: OBJECTS, stockZtunnel: parseStockZtunnels([path]) });
      sockets = new PodSockets(cluster);
      await sockets.serve("shop/web", PORT, (socket) => socket.end("web"));
    });
    after(async () => {
      sockets?.[Symbol.dispose]();
      await cluster?.stop();
    });

    /** Calls the web pod, and holds that it was called with the client's identity. */
    async function callThroughTheMesh(client = "shop/client"): Promise<void> {
      const target = { ip: await cluster.podIp("shop/web"), port: PORT };
      const { received, source } = await sockets.call(client, target);
      assert.equal(received.toString(), "web");
      const [, account] = client.split("/");
      const record = await waitForRecord(cluster, "node1", { "src.addr": source });
      assert.equal(record["src.identity"], `${SPIFFE}/ns/shop/sa/${account}`);
      assert.match(record["dst.addr"] ?? "", /:15008$/);
    }

    async function served(node: string): Promise<string[]> {
      const { workloadState } = await configDump(cluster, node);
      const up = Object.values(workloadState).filter(({ state }) => state === "Up");
      return up.map(({ info }) => info.name ?? "").sort();
    }

    test("serves the pods that it hands over", async () => {
      await callThroughTheMesh();
      assert.deepEqual(await served("node1"), ["client"]);
      assert.deepEqual(await served("node2"), ["web"]);
    });

    test("goes on without it, and takes a new pod from the next one", async () => {
      await agent("node1").stop();
      await callThroughTheMesh();
      await agent("node1").start();
      await cluster.apply(...pod({ ...CLIENT, name: "late" }));
      await cluster.waitFor("shop/late", (late) => late.status?.phase === "Running");
      await callThroughTheMesh("shop/late");
      await callThroughTheMesh();
    });

    test("lets a pod go that was removed while it was away", async () => {
      await agent("node1").stop();
      await cluster.delete("Pod", "shop/late");
      await cluster.until("the pod is gone", async () => !(await cluster.find("Pod", "shop/late")));
      assert.deepEqual(await served("node1"), ["client", "late"]);
      await agent("node1").start();
      await cluster.until("it is let go", async () => (await served("node1")).join() === "client");
      await callThroughTheMesh();
    });

    test("is given its pods again after it was killed", async () => {
      await cluster.ztunnel("node2").kill();
      await cluster.until("it serves again", async () => {
        const names = await served("node2").catch(() => []);
        return names.join() === "web";
      });
      await callThroughTheMesh();
    });

    test("lets a pod go that leaves the mesh, and gives it its own network", async () => {
      await cluster.apply(...pod({ ...CLIENT, labels: { "istio.io/dataplane-mode": "none" } }));
      await cluster.until("it is let go", async () => (await served("node1")).length === 0);
      const target = { ip: await cluster.podIp("shop/web"), port: PORT };
      const { source, received } = await sockets.call("shop/client", target);
      assert.equal(received.toString(), "web");
      const record = await waitForRecord(cluster, "node2", { "src.addr": source });
      assert.equal(record["src.identity"], undefined);
    });
  });
}

const ADDRESSES = { client: "10.244.1.70", web: "10.244.2.70", other: "10.244.1.71" };

/** One file for the whole mesh; its uids are its own. */
const LOCAL_XDS = `
workloads:
${Object.entries(ADDRESSES)
  .map(
    ([name, ip]) => `- uid: "file/${name}"
  name: ${name}
  namespace: shop
  serviceAccount: ${name}
  trustDomain: cluster.local
  workloadIps: ["${ip}"]
  protocol: HBONE
  node: ${name === "web" ? "node2" : "node1"}
  services: ${name === "web" ? '{ "shop/web.shop.svc.cluster.local": { 80: 8080 } }' : "{}"}
`,
  )
  .join("")}
services:
- name: web
  namespace: shop
  hostname: web.shop.svc.cluster.local
  vips: ["/10.96.77.77"]
  ports: { 80: 8080 }
policies:
- name: no-other
  namespace: shop
  scope: Namespace
  action: Deny
  rules: [[[{ principals: [!Exact cluster.local/ns/shop/sa/other] }]]]
  dryRun: false
`;

function describeLocalState(title: string, path: string): void {
  describe(`${title} with its state in a file and no xDS`, () => {
    const folder = mkdtempSync(join(tmpdir(), "local-xds-"));
    const file = join(folder, "mesh.yaml");
    let cluster: TestCluster;
    let sockets: PodSockets;

    before(async () => {
      writeFileSync(file, LOCAL_XDS);
      cluster = await startCluster({
        objects: [
          namespace("shop", "ambient"),
          ...pod({ ...CLIENT, address: ADDRESSES.client }),
          ...pod({ ...CLIENT, name: "other", address: ADDRESSES.other }),
          ...pod({ ...WEB, address: ADDRESSES.web }),
        ],
        stockZtunnel: parseStockZtunnels([path]),
        ztunnel: { env: { XDS_ADDRESS: "", LOCAL_XDS_PATH: file } },
      });
      sockets = new PodSockets(cluster);
      await sockets.serve("shop/web", PORT, (socket) => socket.end("web"));
    });
    after(async () => {
      sockets?.[Symbol.dispose]();
      await cluster?.stop();
      rmSync(folder, { recursive: true });
    });

    test("finds services and enforces policies as the file says", async () => {
      const target = { ip: "10.96.77.77", port: 80 };
      const { received, source } = await sockets.call("shop/client", target);
      assert.equal(received.toString(), "web");
      const record = await waitForRecord(cluster, "node1", { "src.addr": source });
      assert.equal(record["dst.service"], "web.shop.svc.cluster.local");
      assert.equal(record["dst.identity"], `${SPIFFE}/ns/shop/sa/web`);
      const refused = await sockets.call("shop/other", target);
      assert.equal(refused.received.toString(), "");
      await waitForRecord(cluster, "node2", {
        "src.identity": `${SPIFFE}/ns/shop/sa/other`,
        error: /policy rejection.*no-other/,
      });
    });

    test("dumps the state of the file", async () => {
      const { workloads, services, policies } = await configDump(cluster, "node1");
      assert.deepEqual(workloads.map(({ uid }) => uid).sort(), [
        "file/client",
        "file/other",
        "file/web",
      ]);
      assert.deepEqual(
        services.map(({ vips }) => vips),
        [["/10.96.77.77"]],
      );
      assert.equal(policies.length, 1);
    });
  });
}
