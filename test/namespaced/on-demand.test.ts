/** XDS_ON_DEMAND: ztunnels that ask for what their pods' connections need, and know no more. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { redirectionOf, startCluster, type TestCluster } from "#test/support/cluster.ts";
import { namespace, pod, service } from "#test/support/objects.ts";
import { PodSockets, type Target } from "#test/support/pod-sockets.ts";
import { deny } from "#test/support/policy-objects.ts";
import { configDump } from "#test/support/ztunnel-view.ts";

const PORT = 8080;
/** A ztunnel tries to reach an istiod that is away at longer and longer intervals. */
const RECONNECTED = { timeoutMs: 60_000 };
const FROM_CLIENT = [{ from: [{ source: { principals: ["cluster.local/ns/shop/sa/client"] } }] }];
const OBJECTS = [
  namespace("shop", "ambient"),
  namespace("plain", undefined),
  ...pod({ namespace: "shop", name: "client", node: "node1" }),
  ...pod({ namespace: "shop", name: "near", node: "node1" }),
  ...pod({ namespace: "shop", name: "web-1", app: "web", node: "node2" }),
  ...pod({ namespace: "shop", name: "web-2", app: "web", node: "node2" }),
  ...pod({ namespace: "shop", name: "other", node: "node2" }),
  ...pod({ namespace: "plain", name: "outside", node: "node2" }),
  service({ namespace: "shop", name: "web" }),
  service({ namespace: "shop", name: "unused", app: "other" }),
];
const MESHED = ["shop/client", "shop/near", "shop/web-1", "shop/web-2", "shop/other"];

let cluster: TestCluster;
let sockets: PodSockets;

before(async () => {
  cluster = await startCluster({
    objects: OBJECTS,
    ztunnel: { env: { XDS_ON_DEMAND: "true" } },
  });
  for (const name of MESHED) {
    await cluster.waitFor(name, (each) => redirectionOf(each) === "enabled");
  }
  sockets = new PodSockets(cluster);
  for (const name of [...MESHED.slice(1), "plain/outside"]) {
    await sockets.serve(name, PORT, (socket) => void socket.resume().end(name));
  }
});
after(async () => {
  sockets?.[Symbol.dispose]();
  await cluster?.stop();
});

/** Names of the workloads and services that node1's ztunnel knows. */
async function known(): Promise<readonly string[]> {
  const { workloads, services } = await configDump(cluster, "node1");
  return [
    ...workloads.map(({ name }) => name),
    ...services.map(({ name }) => `service ${name}`),
  ].sort();
}

async function answerOf(target: Target): Promise<string> {
  const { how, received } = await sockets.call("shop/client", target, "hello");
  return how === "end" ? received.toString() : how;
}

async function targetOf(name: string): Promise<Target> {
  return { ip: await cluster.podIp(name), port: PORT };
}

async function vip(): Promise<Target> {
  const { spec } = (await cluster.find("Service", "shop/web")) ?? {};
  return { ip: spec?.clusterIP ?? "", port: 80 };
}

/** Waits for the call to be carried by a tunnel (or within the node), and not in the clear. */
async function securities(): Promise<ReadonlySet<string>> {
  const metrics = await cluster.ztunnel("node1").metrics();
  const opened = metrics.matchAll(
    /^istio_tcp_connections_opened_total\{.*connection_security_policy="(\w+)"/gm,
  );
  return new Set([...opened].map(([, security = ""]) => security));
}

test("a ztunnel knows its own pods at first, and is ready", async () => {
  await cluster.until("its own pods are known", async () => {
    return (await known()).join() === "client,near";
  });
});

test("a service is known with its endpoints once it is called, and nothing else is", async () => {
  await cluster.until("the service answers", async () => {
    return /^shop\/web-[12]$/.test(await answerOf(await vip()));
  });
  assert.deepEqual(await known(), ["client", "near", "service web", "web-1", "web-2"]);
  await cluster.until("it was told of", async () => (await securities()).size > 0);
  assert.deepEqual([...(await securities())], ["mutual_tls"], "the first call is encrypted too");
});

test("a pod of the same node is reached within it, a pod by its address by a tunnel", async () => {
  assert.equal(await answerOf(await targetOf("shop/near")), "shop/near");
  assert.equal(await answerOf(await targetOf("shop/other")), "shop/other");
  assert.ok((await known()).includes("other"));
  await cluster.until("both were told of", async () => (await securities()).has("same_node"));
  assert.ok(!(await securities()).has("unknown"));
});

test("what is outside of the mesh is reached as it is; nobody's address is asked for, too", async () => {
  assert.equal(await answerOf(await targetOf("plain/outside")), "plain/outside");
  await assert.rejects(sockets.dial("shop/client", { ip: "10.255.1.1", port: 1 }).then(endOf));
  const looked = (result: string) =>
    cluster.ztunnel("node1").metric("ambient_on_demand_look_ups_total", { result });
  await cluster.until("it is counted", async () => (await looked("absent")) > 0);
  assert.ok((await looked("found")) >= 3);
});

test("policies hold, and are followed live", async () => {
  await cluster.apply(deny(FROM_CLIENT, { name: "no-client", matchLabels: { app: "other" } }));
  const other = await targetOf("shop/other");
  await cluster.until("it is refused", async () => (await answerOf(other)) === "reset");
  await cluster.delete("AuthorizationPolicy", "shop/no-client");
  await cluster.until("it is let in", async () => (await answerOf(other)) === "shop/other");
});

test("without istiod what is known goes on, and what is not is refused, not sent in the clear", async () => {
  await cluster.apply(...pod({ namespace: "shop", name: "late", node: "node2" }));
  await cluster.waitFor("shop/late", (each) => redirectionOf(each) === "enabled");
  await sockets.serve("shop/late", PORT, (socket) => void socket.resume().end("shop/late"));
  const late = await targetOf("shop/late");
  await cluster.istiod.stop();
  assert.match(await answerOf(await vip()), /^shop\/web-[12]$/);
  assert.equal(await answerOf(late), "reset");
  assert.ok(!(await known()).includes("late"));
  await cluster.istiod.start();
  await cluster.until(
    "it is known",
    async () => (await answerOf(late)) === "shop/late",
    RECONNECTED,
  );
  assert.ok(!(await known()).includes("service unused"));
});

test("after a restart of istiod, changes of what is known are heard of", async () => {
  await cluster.istiod.kill("SIGKILL");
  await cluster.delete("Pod", "shop/web-1");
  await cluster.until(
    "it is known to be gone",
    async () => !(await known()).includes("web-1"),
    RECONNECTED,
  );
  assert.equal(await answerOf(await vip()), "shop/web-2");
});

/** How a connection ends that must not stand; rejects where it was cut. */
async function endOf(socket: import("node:net").Socket): Promise<void> {
  const [error] = await new Promise<[Error | undefined]>((resolve) => {
    socket.once("error", (each) => resolve([each]));
    socket.once("end", () => resolve([undefined]));
    socket.resume();
  });
  if (error !== undefined) throw error;
}
