/** ztunnel on the nodes of a real cluster: pods that start, agents that are away, and their end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BUSYBOX_IMAGE } from "./harness/tools/test-images.ts";
import { useKubernetes } from "./harness/use-kubernetes.ts";
import { waitFor } from "./harness/wait-for.ts";
import { installMesh } from "./mesh/install.ts";
import { LOOK, sawAtStart } from "./mesh/looker.ts";
import { meshImage } from "./mesh/mesh-image.ts";
import { echoDeployment, echoService, namespaceWithScripts } from "./mesh/workloads.ts";

const AMBIENT = { "istio.io/dataplane-mode": "ambient" };
const cluster = useKubernetes(
  async () => ({ nodes: 2, images: [await meshImage()] }),
  async (started) => {
    await installMesh(started);
    await started.apply(
      ...namespaceWithScripts("shop", AMBIENT),
      ...namespaceWithScripts("outside"),
    );
    await started.apply(
      ...echoDeployment({ namespace: "shop", name: "web", node: "node2" }),
      echoService("shop", "web"),
    );
    await started.rolledOut("shop/deploy/web");
  },
);

/** A pod whose first act is to look whether it is captured, on a node. */
function looker(name: string, namespace: string, node: string): object {
  const container = {
    name: "app",
    image: BUSYBOX_IMAGE,
    command: ["sh", "-c", `${LOOK}; exec sleep 100000`],
  };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels: { looker: "yes" } },
    spec: { nodeName: node, terminationGracePeriodSeconds: 0, containers: [container] },
  };
}

async function conflist(node: 1 | 2): Promise<readonly string[]> {
  const path = "/etc/cni/net.d";
  const { stdout } = await cluster()
    .node(node)
    .namespaces.run(["sh", "-c", `cat $(ls -d ${path}/* | head -1)`]);
  return JSON.parse(stdout).plugins.map(({ type }: { type: string }) => type);
}

async function events(pod: string): Promise<string> {
  const of = `--field-selector=involvedObject.name=${pod}`;
  return await cluster().check(["get", "events", "-n", "shop", of, "-o", "jsonpath={..message}"]);
}

async function answers(pod: string, url: string): Promise<boolean> {
  const { stdout } = await cluster().exec(pod, [
    "curl",
    "-s",
    "-m",
    "5",
    "-w",
    "%{http_code}",
    url,
  ]);
  return stdout.endsWith("200");
}

test("the plugin is last in the chain of every node", async () => {
  for (const node of [1, 2] as const) {
    await waitFor("the plugin", async () => (await conflist(node)).at(-1) === "ambient-mesh");
  }
});

test("ten pods that start at once are captured before their first instruction", async () => {
  const names = Array.from({ length: 10 }, (_, i) => `first-${i}`);
  await cluster().apply(...names.map((name, i) => looker(name, "shop", `node${(i % 2) + 1}`)));
  for (const name of names)
    assert.equal(await sawAtStart(cluster(), `shop/${name}`), "captured", name);
  await waitFor("an answer through the mesh", () => answers("shop/first-0", "http://web/"));
});

test("a pod outside the mesh starts untouched", async () => {
  await cluster().apply(looker("plain", "outside", "node1"));
  assert.equal(await sawAtStart(cluster(), "outside/plain"), "open");
});

test("a configuration that is rewritten is chained again", async () => {
  const strip = "sed -i 's/ambient-mesh/portmap/' $(ls -d /etc/cni/net.d/* | head -1)";
  await cluster().node(1).namespaces.run(["sh", "-c", strip]);
  await waitFor("the plugin", async () => (await conflist(1)).at(-1) === "ambient-mesh");
});

test("without ztunnel no enrolled pod starts, an Event says why, and it starts when it is back", async () => {
  const nobody = { spec: { template: { spec: { nodeSelector: { nobody: "here" } } } } };
  const patch = (body: object) =>
    cluster().check(["patch", "ds", "-n", "istio-system", "ztunnel", "-p", JSON.stringify(body)]);
  await patch(nobody);
  const pods = ["get", "pods", "-n", "istio-system", "-l", "app=ztunnel", "-o", "name"];
  await waitFor("ztunnel to be gone", async () => (await cluster().check(pods)) === "");
  await cluster().apply(looker("late", "shop", "node1"));
  await waitFor("an Event", async () => (await events("late")).includes("no ztunnel answers"));
  const phase = ["get", "pod", "-n", "shop", "late", "-o", "jsonpath={.status.phase}"];
  assert.equal(await cluster().check(phase), "Pending");
  await patch({ spec: { template: { spec: { nodeSelector: { nobody: null } } } } });
  await cluster().rolledOut("istio-system/ds/ztunnel");
  assert.equal(await sawAtStart(cluster(), "shop/late"), "captured");
});

test("pods stay captured when their ztunnel is killed, containerd and kubelet restarted", async () => {
  const ztunnels = ["-n", "istio-system", "pods", "-l", "app=ztunnel"];
  const names = async () => (await cluster().check(["get", ...ztunnels, "-o", "name"])).split("\n");
  const former = (await names()).filter(Boolean);
  await cluster().check(["delete", "--grace-period=0", "--force", ...ztunnels]);
  await cluster().node(1).restartContainerd();
  await cluster().node(1).kubelet.restart();
  // Their DaemonSet may go on for a moment to count those that have been deleted.
  await waitFor("the next ztunnels", async () => {
    const next = (await names()).filter((name) => name !== "" && !former.includes(name));
    return next.length === former.length;
  });
  await cluster().check(["wait", "--for=condition=Ready", ...ztunnels, "--timeout=110s"]);
  const look = () => cluster().exec("shop/first-0", ["sh", "-c", LOOK]);
  await waitFor("it to be captured", async () => (await look()).stdout.trim() === "captured");
  await waitFor("the first pod to talk", () => answers("shop/first-0", "http://web/"));
  await cluster().apply(looker("after", "shop", "node1"));
  assert.equal(await sawAtStart(cluster(), "shop/after"), "captured");
});

test("ztunnel that is deleted leaves nodes and pods as they were", async () => {
  const ztunnel = ["-n", "istio-system", "daemonset/ztunnel"];
  await cluster().check(["delete", "--cascade=foreground", "--wait", ...ztunnel]);
  for (const node of [1, 2] as const) {
    assert.ok(!(await conflist(node)).includes("ambient-mesh"));
    const left = ["sh", "-c", "ls /opt/cni/bin | grep ambient; nft list tables | grep istio"];
    const { stdout } = await cluster().node(node).namespaces.run(left);
    assert.equal(stdout, "");
  }
  const { stdout } = await cluster().exec("shop/first-0", ["sh", "-c", LOOK]);
  assert.equal(stdout.trim(), "open");
  assert.ok(await answers("shop/first-0", "http://web/"));
  await cluster().apply(looker("plain-again", "shop", "node1"));
  assert.equal(await sawAtStart(cluster(), "shop/plain-again"), "open");
});
