/** The mesh on a real cluster, from its image and manifests: what a user does, in that order. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { useKubernetes } from "./harness/use-kubernetes.ts";
import { waitFor } from "./harness/wait-for.ts";
import { waitForAccess } from "./mesh/access-log.ts";
import { installMesh, uninstallMesh } from "./mesh/install.ts";
import { meshImage } from "./mesh/mesh-image.ts";
import { allowOnly, spiffe, splitRoute, strictMtls, waypoint } from "./mesh/objects.ts";
import {
  echoDeployment,
  echoService,
  namespaceWithScripts,
  shellClient,
} from "./mesh/workloads.ts";

const CLIENT = "shop/deploy/client";
const OTHER_CLIENT = "shop/deploy/other-client";
const OUTSIDER = "outside/deploy/client";
const AMBIENT = { "istio.io/dataplane-mode": "ambient" };

const WORKLOADS = [
  ...namespaceWithScripts("shop"),
  ...namespaceWithScripts("outside"),
  ...shellClient({ namespace: "shop", name: "client", node: "node1" }),
  ...shellClient({ namespace: "shop", name: "other-client", node: "node2" }),
  ...shellClient({ namespace: "outside", name: "client", node: "node1" }),
  ...echoDeployment({ namespace: "shop", name: "web", node: "node2" }),
  echoService("shop", "web"),
];

const cluster = useKubernetes(
  async () => ({ nodes: 2, images: [await meshImage()] }),
  async (started) => {
    await installMesh(started);
    await started.apply(...WORKLOADS);
    for (const name of ["client", "other-client", "web"]) {
      await started.rolledOut(`shop/deploy/${name}`);
    }
    await started.rolledOut(OUTSIDER);
  },
);

/** What curl in a pod gets; its status is 000 where there was no answer. */
async function get(pod: string, url: string): Promise<{ status: string; body: string }> {
  const curl = ["curl", "-s", "-m", "5", "-w", "\n%{http_code}", url];
  const { stdout } = await cluster().exec(pod, curl);
  const at = stdout.lastIndexOf("\n");
  return { status: stdout.slice(at + 1), body: stdout.slice(0, at) };
}

function untilStatus(pod: string, url: string, status: string): Promise<unknown> {
  const what = `${status} for ${pod} at ${url}`;
  return waitFor(what, async () => (await get(pod, url)).status === status);
}

/** The pods of a namespace that have the annotation of captured pods, sorted. */
async function capturedIn(namespace: string): Promise<string[]> {
  const redirection = ".metadata.annotations.ambient\\.istio\\.io/redirection";
  const row = `{range .items[?(@${redirection}=="enabled")]}{.metadata.labels.app}{"\\n"}{end}`;
  const args = ["get", "pods", "-n", namespace, "-o", `jsonpath=${row}`];
  return (await cluster().check(args)).split("\n").filter(Boolean).sort();
}

async function label(kind: string, name: string, value: string): Promise<void> {
  await cluster().check(["label", kind, ...name.split(" "), "--overwrite", value]);
}

test("nothing changes for a namespace without the label", async () => {
  await untilStatus(CLIENT, "http://web/", "200");
  assert.deepEqual(await capturedIn("shop"), []);
});

test("pods of a labelled namespace talk across nodes, and both ends log who", async () => {
  const [[name, value] = []] = Object.entries(AMBIENT);
  await label("namespace", "shop", `${name}=${value}`);
  const all = ["client", "other-client", "web"];
  await waitFor("the pods of shop to be captured", async () => {
    return (await capturedIn("shop")).join() === all.join();
  });
  const identities = {
    "src.identity": spiffe("shop", "client"),
    "dst.identity": spiffe("shop", "web"),
  };
  // The other node is told last that a pod is captured: its first requests may be plaintext yet.
  const ask = () => untilStatus(CLIENT, "http://web/", "200");
  await waitForAccess(cluster(), "node1", { direction: "outbound", ...identities }, ask);
  await waitForAccess(cluster(), "node2", { direction: "inbound", ...identities });
});

test("STRICT refuses a client outside the mesh, and nobody in it", async () => {
  const url = "http://web.shop/";
  assert.equal((await get(OUTSIDER, url)).status, "200");
  await cluster().apply(strictMtls("shop"));
  await untilStatus(OUTSIDER, url, "000");
  assert.equal((await get(CLIENT, url)).status, "200");
});

test("a policy lets one service account in, and kubectl tells that it is in force", async () => {
  await cluster().apply(allowOnly("shop", "web", "client"));
  await untilStatus(OTHER_CLIENT, "http://web/", "000");
  assert.equal((await get(CLIENT, "http://web/")).status, "200");
  const condition = "--for=condition=ZtunnelAccepted";
  const policy = ["-n", "shop", "authorizationpolicy/allow-one"];
  await cluster().check(["wait", condition, ...policy, "--timeout=60s"]);
  await cluster().check(["delete", ...policy]);
  await untilStatus(OTHER_CLIENT, "http://web/", "200");
});

test("a Gateway deploys a waypoint, which splits traffic as a route says", async () => {
  await cluster().apply(
    ...echoDeployment({ namespace: "shop", name: "web-v1" }),
    ...echoDeployment({ namespace: "shop", name: "web-v2", version: "v2" }),
    echoService("shop", "web-v1"),
    echoService("shop", "web-v2"),
    waypoint("shop"),
    splitRoute("shop", "web", { "web-v1": 50, "web-v2": 50 }),
  );
  const programmed = ["wait", "--for=condition=Programmed", "-n", "shop", "gateway/waypoint"];
  await cluster().check([...programmed, "--timeout=120s"]);
  await label("service", "web -n shop", "istio.io/use-waypoint=waypoint");
  for (const name of ["web-v1", "web-v2"]) await cluster().rolledOut(`shop/deploy/${name}`);
  const seen = new Set<string>();
  await waitFor("answers of both versions", async () => {
    const { body } = await get(CLIENT, "http://web/");
    // By its name: the pod behind the service itself says v1 as well.
    const { pod } = JSON.parse(body) as { pod: string };
    seen.add(pod.split("-").slice(0, -2).join("-"));
    return seen.has("web-v1") && seen.has("web-v2");
  });
  const accepted = "{.status.parents[0].conditions[?(@.type=='Accepted')].status}";
  const route = ["get", "httproute", "web-split", "-n", "shop", "-o", `jsonpath=${accepted}`];
  await waitFor("the route's status", async () => (await cluster().check(route)) === "True");
});

test("without the label the pods talk as before, and also without the mesh", async () => {
  await label("namespace", "shop", "istio.io/dataplane-mode-");
  await waitFor("no captured pod", async () => (await capturedIn("shop")).length === 0);
  await cluster().check(["delete", "-n", "shop", "gateway,httproute,peerauthentication", "--all"]);
  await untilStatus(OUTSIDER, "http://web.shop/", "200");
  await untilStatus(CLIENT, "http://web/", "200");
  await uninstallMesh(cluster());
  for (const pod of [CLIENT, OTHER_CLIENT, OUTSIDER]) {
    assert.equal((await get(pod, "http://web.shop/")).status, "200", pod);
  }
});
