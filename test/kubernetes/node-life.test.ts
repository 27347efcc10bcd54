/**
 * Pods of the mesh on real nodes from their first moment to their last: probes, Jobs, sandboxes
 * that are made again, a node that is switched off, and how it all looks when the mesh has gone.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BUSYBOX_IMAGE } from "./harness/tools/test-images.ts";
import { useKubernetes } from "./harness/use-kubernetes.ts";
import { type WaitOptions, waitFor } from "./harness/wait-for.ts";
import { installMesh, uninstallMesh } from "./mesh/install.ts";
import { LOOK, sawAtStart } from "./mesh/looker.ts";
import { meshImage } from "./mesh/mesh-image.ts";
import { nodeState, podNetworkState } from "./mesh/network-state.ts";
import { strictMtls } from "./mesh/objects.ts";
import { killInPod } from "./mesh/replicas.ts";
import {
  echoDeployment,
  echoService,
  namespaceWithScripts,
  shellClient,
} from "./mesh/workloads.ts";

const CLIENT = "shop/deploy/client";
const WEB = "http://web.shop/";
const APPS = ["client", "web"];
const podsBefore = new Map<string, string>();
const nodesBefore = new Map<string, string>();

const cluster = useKubernetes(
  async () => ({ nodes: 2, images: [await meshImage()] }),
  async (started) => {
    await started.apply(
      ...namespaceWithScripts("shop"),
      ...namespaceWithScripts("outside"),
      ...shellClient({ namespace: "shop", name: "client", node: "node1" }),
      ...shellClient({ namespace: "outside", name: "client", node: "node1" }),
      ...echoDeployment({ namespace: "shop", name: "web", node: "node2" }),
      echoService("shop", "web"),
    );
    for (const name of APPS) await started.rolledOut(`shop/deploy/${name}`);
    await started.rolledOut("outside/deploy/client");
    for (const app of APPS) podsBefore.set(app, await podNetworkState(started, "shop", app));
    for (const node of started.nodes) nodesBefore.set(node.name, await nodeState(node));
    await installMesh(started);
  },
);

async function status(from: string): Promise<string> {
  const curl = ["curl", "-s", "-o", "/dev/null", "-m", "5", "-w", "%{http_code}", WEB];
  return (await cluster().exec(from, curl)).stdout;
}

/** STRICT: an answer says that both ends are captured. */
async function enrol(): Promise<void> {
  const label = ["label", "namespace", "shop", "--overwrite", "istio.io/dataplane-mode=ambient"];
  await cluster().check(label);
  await cluster().apply(strictMtls("shop"));
  await waitFor("the outsider to be refused", async () => {
    return (await status("outside/deploy/client")) === "000";
  });
  await waitFor("an answer", async () => (await status(CLIENT)) === "200");
}

async function unenrol(): Promise<void> {
  await cluster().check(["label", "namespace", "shop", "istio.io/dataplane-mode-"]);
  const annotations = "jsonpath={.items[*].metadata.annotations}";
  await waitFor("no captured pod", async () => {
    const found = await cluster().check(["get", "pods", "-n", "shop", "-o", annotations]);
    return !found.includes("redirection");
  });
}

function pod(name: string, container: object, more: object = {}, namespace = "shop"): object {
  const containers = [{ name: "app", image: BUSYBOX_IMAGE, ...container }];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels: { app: name } },
    spec: { terminationGracePeriodSeconds: 0, nodeName: "node2", containers, ...more },
  };
}

const get = (pod: string, path: string) =>
  cluster().check(["get", "pod", pod, "-n", "shop", "-o", `jsonpath={${path}}`]);

const containerOf = (name: string) => get(name, ".status.containerStatuses[0].containerID");

/** Another container than that one runs. */
async function runsAnew(name: string, former?: string, options: WaitOptions = {}): Promise<void> {
  const look = async () => {
    const status = JSON.parse(await get(name, ".status.containerStatuses[0]"));
    return status.state.running !== undefined && status.containerID !== former;
  };
  await waitFor(`${name} to start again`, look, options);
}

async function isReady(name: string): Promise<void> {
  const ready = ["wait", "--for=condition=Ready", `pod/${name}`, "-n", "shop", "--timeout=100s"];
  await cluster().check(ready);
}

test("a label captures pods that run, and taking it away leaves their networks as they were", async () => {
  await enrol();
  for (const [app, before] of podsBefore) {
    assert.notEqual(await podNetworkState(cluster(), "shop", app), before, app);
  }
  await unenrol();
  for (const [app, before] of podsBefore) {
    const now = () => podNetworkState(cluster(), "shop", app);
    // Connections from before end first.
    await waitFor(`${app} to be left`, async () => (await now()) === before).catch(async () => {
      assert.equal(await now(), before, app);
    });
  }
});

test("the kubelet's probes reach a pod under STRICT from its start on, by IPv4 and by IPv6", async () => {
  await enrol();
  const often = { periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 5 };
  const http = { httpGet: { path: "/", port: 8080 }, ...often };
  const serve = "mkdir /tmp/w; echo hi >/tmp/w/index.html; exec httpd -f -p 8080 -h /tmp/w";
  const probes = {
    startupProbe: { ...http, failureThreshold: 60 },
    readinessProbe: http,
    livenessProbe: { tcpSocket: { port: 8080 }, ...often, failureThreshold: 3 },
  };
  await cluster().apply(pod("probed", { command: ["sh", "-c", serve], ...probes }));
  await isReady("probed");
  const [v4 = "", v6 = ""] = (await get("probed", ".status.podIPs[*].ip")).split(" ");
  assert.match(v6, /:/);
  // A pod's own address is its first one: another pod's probes go to the second.
  const other = { ...http, httpGet: { host: v6, path: "/", port: 8080 } };
  const waits = { command: ["sleep", "100000"], startupProbe: other, livenessProbe: other };
  await cluster().apply(pod("probes-v6", { ...waits, readinessProbe: other }));
  await isReady("probes-v6");
  for (const host of [v4, `[${v6}]`]) {
    const outsider = ["curl", "-s", "-m", "5", `http://${host}:8080/`];
    assert.equal((await cluster().exec("outside/deploy/client", outsider)).stdout, "", host);
  }
  for (const name of ["probed", "probes-v6"]) {
    assert.equal(await get(name, ".status.containerStatuses[0].restartCount"), "0", name);
  }
});

test("Jobs talk through the mesh, and leave nothing behind on their node", async () => {
  const state = () => cluster().nodes[1]?.namespaces.check(["sh", "-c", LEFT_BY_PODS]);
  const before = await state();
  const ask = `until curl -sf -m 5 ${WEB} >/dev/null; do :; done`;
  const [{ spec }] = [pod("job", { command: ["sh", "-c", ask] }, { restartPolicy: "Never" })] as [
    { spec: object },
  ];
  await cluster().apply({
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name: "job", namespace: "shop" },
    spec: { completions: 6, parallelism: 3, template: { spec } },
  });
  const complete = ["wait", "--for=condition=Complete", "job/job", "-n", "shop"];
  await cluster().check([...complete, "--timeout=120s"], { timeoutMs: 125_000 });
  await waitFor("nothing of them to be left", async () => (await state()) === before).catch(
    async () => assert.equal(await state(), before),
  );
  await cluster().check(["delete", "job", "job", "-n", "shop"]);
});

test("a pod whose sandbox dies is captured in the next one before its first instruction", async () => {
  const look = `${LOOK}; exec sleep 100000`;
  await cluster().apply(pod("anew", { command: ["sh", "-c", look] }));
  assert.equal(await sawAtStart(cluster(), "shop/anew"), "captured");
  const first = await containerOf("anew");
  await killInPod(cluster(), "shop", "anew", "2147483647");
  await runsAnew("anew", first);
  assert.equal(await sawAtStart(cluster(), "shop/anew"), "captured");
  await waitFor("an answer", async () => (await status("shop/anew")) === "200");
});

test("a pod that cannot be captured has an Event that says why", async () => {
  // It has ztunnel's port before it is enrolled.
  const taken = pod("taken", { command: ["httpd", "-f", "-p", "15001"] }, {}, "outside");
  await cluster().apply(taken);
  const target = ["pod/taken", "-n", "outside"];
  await cluster().check(["wait", "--for=condition=Ready", ...target, "--timeout=60s"]);
  await cluster().check(["label", ...target, "istio.io/dataplane-mode=ambient"]);
  const about = "--field-selector=involvedObject.name=taken";
  const reasons = ["get", "events", "-n", "outside", about, "-o", "jsonpath={..message}"];
  await waitFor("an Event", async () => /15001/.test(await cluster().check(reasons)));
  await cluster().check(["delete", ...target]);
});

test("after a reboot no pod of the node is open for a moment, and all of them talk again", async () => {
  const look = `${LOOK}; exec sleep 100000`;
  const names = ["boot-0", "boot-1", "boot-2"];
  await cluster().apply(...names.map((name) => pod(name, { command: ["sh", "-c", look] })));
  for (const name of names) assert.equal(await sawAtStart(cluster(), `shop/${name}`), "captured");
  const ids = await Promise.all(names.map(containerOf));
  const probed = await containerOf("probed");
  await cluster().node(2).reboot();
  for (const [index, name] of names.entries()) {
    await runsAnew(name, ids[index], REBOOT);
    assert.equal(await sawAtStart(cluster(), `shop/${name}`), "captured", name);
  }
  await cluster().rolledOut("istio-system/ds/ztunnel", REBOOT.timeoutMs);
  await waitFor("an answer", async () => (await status(CLIENT)) === "200", REBOOT);
  await waitFor("an answer", async () => (await status("shop/boot-0")) === "200");
  await runsAnew("probed", probed);
  await isReady("probed");
});

test("without the mesh nodes are as they were, and pods that were there all along", async () => {
  await cluster().check(["delete", "peerauthentication", "--all", "-n", "shop"]);
  await uninstallMesh(cluster());
  for (const node of cluster().nodes) {
    assert.equal(await nodeState(node), nodesBefore.get(node.name), node.name);
  }
  assert.equal(await podNetworkState(cluster(), "shop", "client"), podsBefore.get("client"));
  for (const client of [CLIENT, "outside/deploy/client"]) assert.equal(await status(client), "200");
});

const REBOOT = { timeoutMs: 200_000 };

/** Sandboxes that ztunnel remembers, addresses that kubelets may probe, networks that it holds. */
const LEFT_BY_PODS = `ls /run/ambient-mesh/ -R | grep -c json
nft list table inet istio-ambient-nat
for p in $(pgrep -f ztunnel/main); do ls -l /proc/$p/fd | grep -c 'net:'; done
ls /run/netns | wc -l`;
