/** The mesh on a real cluster while something is wrong with it: nobody's request may notice. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { useKubernetes } from "./harness/use-kubernetes.ts";
import { waitFor } from "./harness/wait-for.ts";
import { ztunnelsOf } from "./mesh/access-log.ts";
import { installMesh } from "./mesh/install.ts";
import { meshImage } from "./mesh/mesh-image.ts";
import { allowOnly, strictMtls, waypoint } from "./mesh/objects.ts";
import { istiodAddresses, killInPod, leader } from "./mesh/replicas.ts";
import { type LoadReport, startLoad } from "./mesh/run-load.ts";
import {
  echoDeployment,
  echoService,
  loadClient,
  namespaceWithScripts,
  shellClient,
} from "./mesh/workloads.ts";

const LOAD = "shop/deploy/load";
const CLIENT = "shop/deploy/client";
const WEB = "http://web.shop/";

const WORKLOADS = [
  ...namespaceWithScripts("shop", { "istio.io/dataplane-mode": "ambient" }),
  strictMtls("shop"),
  ...loadClient({ namespace: "shop", name: "load", node: "node1" }),
  ...shellClient({ namespace: "shop", name: "client", node: "node1" }),
  ...echoDeployment({ namespace: "shop", name: "web", node: "node2" }),
  echoService("shop", "web"),
];

const cluster = useKubernetes(
  async () => ({ nodes: 2, images: [await meshImage()] }),
  async (started) => {
    await installMesh(started);
    await started.apply(...WORKLOADS);
    for (const name of ["load", "client", "web"]) await started.rolledOut(`shop/deploy/${name}`);
    // STRICT: an answer says that both ends are captured.
    await waitFor("the mesh", async () => {
      const { stdout } = await started.exec(CLIENT, ["curl", "-s", "-m", "5", WEB]);
      return stdout.includes('"pod"');
    });
  },
);

async function status(pod: string, url: string): Promise<string> {
  const curl = ["curl", "-s", "-o", "/dev/null", "-m", "5", "-w", "%{http_code}", url];
  return (await cluster().exec(pod, curl)).stdout;
}

/** A policy that shuts the client out is in force: configuration still travels. */
async function policiesTravel(timeoutMs: number): Promise<void> {
  const policy = ["authorizationpolicy/allow-one", "-n", "shop"];
  const refused = async () => (await status(CLIENT, WEB)) === "000";
  await waitFor("the client to be refused", refused, { timeoutMs });
  await cluster().check(["delete", ...policy]);
  const answered = async () => (await status(CLIENT, WEB)) === "200";
  await waitFor("the client to be let in again", answered, { timeoutMs });
}

function assertNoneFailed({ sent, failed, failures }: LoadReport): void {
  assert.equal(failed, 0, `${failed} of ${sent} failed: ${failures.join("; ")}`);
  assert.ok(sent > 0);
}

/** Runs `work` while requests are sent; at the end, none may have failed. */
async function underLoad(seconds: number, work: () => Promise<void>): Promise<LoadReport> {
  const settings = { url: WEB, perSecond: 200, seconds };
  const report = await startLoad(cluster(), LOAD, settings);
  await work();
  const result = await report();
  assertNoneFailed(result);
  return result;
}

test("an API server that is killed is missed by no request, and policies travel again", async () => {
  await underLoad(15, () => cluster().faults.restartApiServer("SIGKILL"));
  await cluster().apply(allowOnly("shop", "web", "load"));
  await policiesTravel(120_000);
});

/** Runs `work` while nothing passes between the control plane's pods and the API server. */
async function whileCutOff(work: () => Promise<void>): Promise<void> {
  const end = await cluster().faults.dropPackets(await istiodAddresses(cluster()));
  try {
    await work();
  } finally {
    await end();
  }
}

test("a watch that went silent is given up, and what happened meanwhile is seen", async () => {
  await whileCutOff(async () => {
    await cluster().apply(allowOnly("shop", "web", "load"));
    assert.equal(await status(CLIENT, WEB), "200");
  });
  await policiesTravel(180_000);
});

test("versions that etcd has forgotten are answered with a new list, without a gap", async () => {
  await whileCutOff(async () => {
    await cluster().apply(allowOnly("shop", "web", "load"));
    await cluster().faults.compactEtcd();
    // Ended in order, it would leave its Service, and kube-proxies take a while to see it back.
    await cluster().faults.restartApiServer("SIGKILL");
  });
  await policiesTravel(180_000);
});

test("when the leader is killed, another replica does what only one may do", async () => {
  const first = await waitFor("a leader", () => leader(cluster()).then((name) => name || false));
  await cluster().check([
    "delete",
    "pod",
    first,
    "-n",
    "istio-system",
    "--force",
    "--grace-period=0",
  ]);
  await cluster().apply(waypoint("shop"));
  const programmed = ["wait", "--for=condition=Programmed", "-n", "shop", "gateway/waypoint"];
  await cluster().check([...programmed, "--timeout=110s"]);
  assert.notEqual(await leader(cluster()), first);
  await cluster().rolledOut("istio-system/deploy/istiod");
});

test("rolling updates of the control plane, ztunnel and waypoint fail no request", async () => {
  await cluster().check([
    "label",
    "service",
    "web",
    "-n",
    "shop",
    "istio.io/use-waypoint=waypoint",
  ]);
  await cluster().check(["scale", "deploy/waypoint", "-n", "shop", "--replicas=2"]);
  await cluster().rolledOut("shop/deploy/waypoint");
  const restart = async (workload: string) => {
    const [namespace = "", ...name] = workload.split("/");
    await cluster().check(["rollout", "restart", "-n", namespace, name.join("/")]);
    await cluster().rolledOut(workload, 200_000);
  };
  for (const workload of ["istio-system/deploy/istiod", "istio-system/ds/ztunnel"]) {
    await underLoad(45, () => restart(workload));
  }
  await underLoad(45, () => restart("shop/deploy/waypoint"));
});

test("a ztunnel that is killed comes back, and so do its pods", async () => {
  const list = ["get", "pods", "-n", "istio-system", "-l", "app=ztunnel"];
  const name = "jsonpath={.items[0].metadata.name}";
  const ztunnel = await cluster().check([...list, "-o", name]);
  await killInPod(cluster(), "istio-system", ztunnel, "ztunnel/main");
  await waitFor("an answer", async () => (await status(CLIENT, WEB)) === "200");
});

test("a node whose kubelet stops serves until Kubernetes takes its pods out, and fails nobody", async () => {
  await cluster().check(["label", "service", "web", "-n", "shop", "istio.io/use-waypoint-"]);
  await cluster().apply(
    ...echoDeployment({ namespace: "shop", name: "web-beside", app: "web", node: "node1" }),
  );
  await cluster().rolledOut("shop/deploy/web-beside");
  const report = await startLoad(cluster(), LOAD, { url: WEB, perSecond: 50, seconds: 40 });
  await cluster().node(2).kubelet.stop();
  const ready = "jsonpath={.status.conditions[-1:].status}";
  await waitFor("node2 to be lost", async () => {
    return (await cluster().check(["get", "node", "node2", "-o", ready])) === "Unknown";
  });
  cluster().node(2).kubelet.start();
  assertNoneFailed(await report());
});

test("two hundred pods come and go, and every one that stays is captured", async () => {
  const [account, deployment] = shellClient({ namespace: "shop", name: "churn" });
  await cluster().apply(account ?? {}, deployment ?? {});
  const report = await startLoad(cluster(), LOAD, { url: WEB, perSecond: 20, seconds: 60 });
  for (let round = 0; round < 5; round += 1) {
    await cluster().check(["scale", "deploy/churn", "-n", "shop", "--replicas=40"]);
    await cluster().rolledOut("shop/deploy/churn", 250_000);
    if (round === 4) break;
    await cluster().check(["scale", "deploy/churn", "-n", "shop", "--replicas=0"]);
  }
  assertNoneFailed(await report());
  const redirection = ".metadata.annotations.ambient\\.istio\\.io/redirection";
  const list = [
    "get",
    "pods",
    "-n",
    "shop",
    "-l",
    "app=churn",
    "--field-selector=status.phase=Running",
  ];
  await waitFor("forty captured pods", async () => {
    const found = await cluster().check([...list, "-o", `jsonpath={.items[*]${redirection}}`]);
    return found.split(" ").filter((each) => each === "enabled").length === 40;
  });
});

test("ztunnels whose tokens are revoked keep their pods talking; the next ones take over", async () => {
  const account = ["serviceaccount", "ztunnel", "-n", "istio-system"];
  const manifest = await cluster().check(["get", ...account, "-o", "json"]);
  const { apiVersion, kind, metadata } = JSON.parse(manifest);
  const { name, namespace, labels } = metadata;
  await cluster().check(["delete", ...account]);
  await cluster().apply({ apiVersion, kind, metadata: { name, namespace, labels } });
  // Their streams go on until they have to prove again who they are.
  await underLoad(30, async () => {
    await cluster().check(["rollout", "restart", "-n", "istio-system", "deploy/istiod"]);
    await cluster().rolledOut("istio-system/deploy/istiod", 200_000);
    const ztunnel = (await ztunnelsOf(cluster(), "node1"))[0];
    await waitFor("a ztunnel to say so", async () => {
      return /UNAUTHENTICATED/i.test(await cluster().logs(`istio-system/${ztunnel}`));
    });
  });
  await cluster().check(["rollout", "restart", "-n", "istio-system", "ds/ztunnel"]);
  await cluster().rolledOut("istio-system/ds/ztunnel", 200_000);
  await cluster().apply(allowOnly("shop", "web", "load"));
  await policiesTravel(120_000);
});
