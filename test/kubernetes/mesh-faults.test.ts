/** The mesh on a real cluster while something is wrong with it: nobody's request may notice. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { useKubernetes } from "./harness/use-kubernetes.ts";
import { waitFor } from "./harness/wait-for.ts";
import { ztunnelsOf } from "./mesh/access-log.ts";
import { installMesh } from "./mesh/install.ts";
import { meshImage } from "./mesh/mesh-image.ts";
import { allowOnly, strictMtls, waypoint } from "./mesh/objects.ts";
import { apiConnections, istiodPods, killInPod, leader } from "./mesh/replicas.ts";
import { loadDuring } from "./mesh/run-load.ts";
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

/** Runs `work` while requests are sent; none of them may fail. */
async function underLoad(work: () => Promise<unknown>, perSecond = 200): Promise<void> {
  const settings = { url: WEB, perSecond };
  const { sent, failed, failures } = await loadDuring(cluster(), LOAD, settings, work);
  assert.equal(failed, 0, `${failed} of ${sent} failed: ${failures.join("; ")}`);
  assert.ok(sent > 0);
}

test("an API server that is killed is missed by no request, and policies travel again", async () => {
  await underLoad(async () => {
    await cluster().faults.restartApiServer("SIGKILL");
    await cluster().apply(allowOnly("shop", "web", "load"));
    await policiesTravel(120_000);
  });
});

/** Runs `work` while nothing passes between the control plane's pods and the API server. */
async function whileCutOff(work: () => Promise<void>): Promise<void> {
  const addresses = (await istiodPods(cluster())).map(({ address }) => address);
  const end = await cluster().faults.dropPackets(addresses);
  try {
    await work();
  } finally {
    await end();
  }
}

test("a watch that went silent is given up, and what happened meanwhile is seen", async () => {
  const replicas = (await istiodPods(cluster())).map(({ name }) => name);
  for (const name of replicas) assert.ok((await apiConnections(cluster(), name)) > 0, name);
  await whileCutOff(async () => {
    await cluster().apply(allowOnly("shop", "web", "load"));
    for (const name of replicas) {
      const none = async () => (await apiConnections(cluster(), name)) === 0;
      await waitFor(`${name} to give its watches up`, none, { timeoutMs: 120_000 });
    }
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
  await waitFor("another leader", async () => !["", first].includes(await leader(cluster())));
  const programmed = ["wait", "--for=condition=Programmed", "-n", "shop", "gateway/waypoint"];
  await cluster().check([...programmed, "--timeout=200s"], { timeoutMs: 205_000 });
  await cluster().rolledOut("istio-system/deploy/istiod");
});

/** Replaces every pod, and resolves when nothing is left of the former ones. */
async function restart(namespace: string, workload: string): Promise<void> {
  const list = ["get", "pods", "-n", namespace, "-o", "name"];
  const pods = (await cluster().check(list)).split("\n");
  const former = pods.filter((pod) => pod.startsWith(`pod/${workload.split("/")[1]}-`));
  await cluster().check(["rollout", "restart", "-n", namespace, workload]);
  await cluster().rolledOut(`${namespace}/${workload}`, 200_000);
  // What they carry goes on for a while.
  await cluster().check(["wait", "--for=delete", "-n", namespace, ...former, "--timeout=100s"]);
}

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
  await waitFor("requests to go through the waypoint", async () => {
    return (await cluster().exec(CLIENT, ["curl", "-s", "-m", "5", WEB])).stdout.includes(
      '"x-request-id"',
    );
  });
  for (const [namespace, workload] of [
    ["istio-system", "deploy/istiod"],
    ["istio-system", "ds/ztunnel"],
    ["shop", "deploy/waypoint"],
  ] as const) {
    await underLoad(() => restart(namespace, workload));
  }
});

test("a ztunnel that is killed comes back, and so do its pods", async () => {
  const [ztunnel = ""] = await ztunnelsOf(cluster(), "node2");
  const of = ".status.containerStatuses[0]";
  const path = `jsonpath={${of}.restartCount} {${of}.ready}`;
  const state = ["get", "pod", ztunnel, "-n", "istio-system", "-o", path];
  const before = await cluster().check(state);
  await killInPod(cluster(), "istio-system", ztunnel, "ztunnel/main");
  await waitFor("its next process to be ready", async () => {
    const now = await cluster().check(state);
    return now !== before && now.endsWith(" true");
  });
  await waitFor("an answer", async () => (await status(CLIENT, WEB)) === "200");
});

test("a node whose kubelet stops serves until Kubernetes takes its pods out, and fails nobody", async () => {
  await cluster().check(["label", "service", "web", "-n", "shop", "istio.io/use-waypoint-"]);
  await cluster().apply(
    ...echoDeployment({ namespace: "shop", name: "web-beside", app: "web", node: "node1" }),
  );
  await cluster().rolledOut("shop/deploy/web-beside");
  const slices = ["get", "endpointslices", "-n", "shop", "-l", "kubernetes.io/service-name=web"];
  const each = '{range .items[*].endpoints[*]}{.nodeName}={.conditions.ready}{"\\n"}{end}';
  const inTurn = async () => {
    const endpoints = await cluster().check([...slices, "-o", `jsonpath=${each}`]);
    return endpoints.trim().split("\n").sort().join();
  };
  const both = async () => (await inTurn()) === "node1=true,node2=true";
  await waitFor("both pods to be there", both);
  await underLoad(async () => {
    await cluster().node(2).kubelet.stop();
    const one = async () => (await inTurn()) === "node1=true,node2=false";
    await waitFor("the pod of node2 to be taken out", one);
    cluster().node(2).kubelet.start();
    await waitFor("it to be taken in again", both);
  }, 50);
});

/** Nothing but work for the processors, of which there may be few. */
const CHURN = { timeout: 1_200_000 };

test("two hundred pods come and go, and every one that stays is captured", CHURN, async () => {
  const [account, deployment] = shellClient({ namespace: "shop", name: "churn" });
  await cluster().apply(account ?? {}, deployment ?? {});
  const scale = ["scale", "deploy/churn", "-n", "shop"];
  const count = ["get", "deploy/churn", "-n", "shop", "-o", "jsonpath={.status.replicas}"];
  const renew = async () => {
    await cluster().check([...scale, "--replicas=0"]);
    // They end while the next ones start, but are not taken for them.
    await waitFor("them to go", async () => !Number(await cluster().check(count)));
    await cluster().check([...scale, "--replicas=40"]);
    await cluster().rolledOut("shop/deploy/churn", 250_000);
  };
  await underLoad(async () => {
    for (let round = 0; round < 2; round += 1) await renew();
  }, 20);
  for (let round = 2; round < 5; round += 1) await renew();
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
  const [ztunnel] = await ztunnelsOf(cluster(), "node1");
  const refusals = async () =>
    (await cluster().logs(`istio-system/${ztunnel}`)).match(/UNAUTHENTICATED/gi)?.length ?? 0;
  // None unless it had something to report of a pod that has just ended.
  const before = await refusals();
  await underLoad(async () => {
    await restart("istio-system", "deploy/istiod");
    await waitFor("a ztunnel to say so", async () => (await refusals()) > before);
  });
  await restart("istio-system", "ds/ztunnel");
  await cluster().apply(allowOnly("shop", "web", "load"));
  await policiesTravel(120_000);
});
