/** istiod-lite killed, restarted and started without its memory, while the mesh carries traffic. */
import assert from "node:assert/strict";
import { mkdir, readdir, rename, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Pod } from "#common/kubernetes/objects.ts";
import { redirectionOf, type TestCluster } from "#test/support/cluster.ts";
import { namespace, pod, service } from "#test/support/objects.ts";
import { PodSockets, readBytes, type Target } from "#test/support/pod-sockets.ts";
import { failures, Traffic } from "#test/support/traffic.ts";
import { configDump, startMesh } from "#test/support/ztunnel-view.ts";

const PORT = 8080;
const ECHO_PORT = 7070;
const NODES = ["node1", "node2"] as const;
const PODS = ["shop/client", "shop/web-1", "shop/web-2"];
/** Requests that have to get through while something is away. */
const REQUESTS = 300;
/** For what takes programs that start, and those that look for them again, on a busy machine. */
const PATIENCE = { timeoutMs: 60_000 };
const ANSWER = /^shop\/web-[12]$/;

const OBJECTS = [
  namespace("shop", "ambient"),
  ...pod({ namespace: "shop", name: "client", node: "node1" }),
  ...pod({ namespace: "shop", name: "web-1", app: "web", node: "node1" }),
  ...pod({ namespace: "shop", name: "web-2", app: "web", node: "node2" }),
  service({ namespace: "shop", name: "web" }),
  {
    apiVersion: "security.istio.io/v1",
    kind: "PeerAuthentication",
    metadata: { name: "strict", namespace: "shop" },
    spec: { mtls: { mode: "STRICT" } },
  },
];

let cluster: TestCluster;
let sockets: PodSockets;
let target: Target;

before(async () => {
  cluster = await startMesh({ objects: OBJECTS });
  sockets = new PodSockets(cluster);
  for (const name of ["shop/web-1", "shop/web-2"]) {
    await sockets.serve(name, PORT, (socket) => void socket.resume().end(name));
    await sockets.serve(name, ECHO_PORT, (socket) => void socket.pipe(socket));
  }
  const { spec } = (await cluster.find("Service", "shop/web")) ?? {};
  target = { ip: spec?.clusterIP ?? "", port: 80 };
});

after(async () => {
  sockets?.[Symbol.dispose]();
  await cluster?.stop();
});

/** Carries traffic while `disturb` runs and for a while after; fails if a request did. */
async function underLoad(disturb: () => Promise<void>): Promise<void> {
  const traffic = new Traffic(sockets, "shop/client", target);
  const standing = await sockets.dial("shop/client", {
    ip: await cluster.podIp("shop/web-2"),
    port: ECHO_PORT,
  });
  try {
    await disturb();
    const enough = traffic.calls.length + REQUESTS;
    await cluster.until("requests went on", () => traffic.calls.length >= enough, PATIENCE);
  } finally {
    await traffic.stop();
  }
  assert.deepEqual(
    failures(traffic.calls, (text) => ANSWER.test(text)),
    {},
  );
  standing.write("still here");
  assert.equal(String(await readBytes(standing, 10)), "still here");
  standing.destroy();
}

/** Resolves when every ztunnel has what istiod-lite says now. */
async function connected(): Promise<void> {
  const marker = `marker-${Date.now()}`;
  await cluster.apply(...pod({ namespace: "shop", name: marker, node: "node1" }));
  const isKnown = async (): Promise<boolean> => {
    const dumps = await Promise.all(NODES.map((node) => configDump(cluster, node)));
    return dumps.every(({ workloads }) => workloads.some(({ name }) => name === marker));
  };
  await cluster.until(`both ztunnels know ${marker}`, isKnown, PATIENCE);
  await cluster.delete("Pod", `shop/${marker}`);
}

async function allHbone(): Promise<boolean> {
  for (const node of NODES) {
    const { workloads } = await configDump(cluster, node);
    const known = workloads.filter(({ namespace, name }) => PODS.includes(`${namespace}/${name}`));
    if (known.length !== PODS.length) return false;
    if (known.some(({ protocol }) => protocol !== "HBONE")) return false;
  }
  return true;
}

describe("no request fails and no connection ends", () => {
  test("while istiod-lite is killed and comes back, again and again", async () => {
    await underLoad(async () => {
      for (let round = 0; round < 3; round++) {
        const pid = await cluster.istiod.pid();
        await cluster.istiod.kill("SIGKILL");
        const isAnother = async () => (await cluster.istiod.pid()) !== pid;
        await cluster.until("there is another istiod-lite", isAnother, PATIENCE);
        await connected();
      }
    });
    assert.equal(await allHbone(), true);
  });

  test("while istiod-lite is away, and what changes meanwhile is known when it is back", async () => {
    await underLoad(async () => {
      await cluster.istiod.stop();
      await cluster.apply(...pod({ namespace: "shop", name: "late", node: "node2" }));
      assert.equal(await allHbone(), true);
    });
    await underLoad(async () => {
      await cluster.istiod.start();
      const isCaptured = (late: Pod) => redirectionOf(late) === "enabled";
      await cluster.waitFor("shop/late", isCaptured, PATIENCE);
    });
  });

  test("while istiod-lite does not answer, and when it does again", async () => {
    await underLoad(() => cluster.istiod.kill("SIGSTOP"));
    await underLoad(async () => {
      await cluster.istiod.kill("SIGCONT");
      await connected();
    });
  });

  test("when istiod-lite starts on an empty folder, and gets its objects later", async () => {
    const { objects } = cluster.client.paths;
    await underLoad(async () => {
      await cluster.istiod.stop();
      await rename(objects, `${objects}.away`);
      await mkdir(objects);
      await cluster.istiod.start();
      const waits = async () => /no objects yet/.test(await cluster.istiod.logs());
      await cluster.until("it waits", waits, PATIENCE);
    });
    assert.equal(await allHbone(), true);
    await underLoad(async () => {
      await rmdir(objects);
      await rename(`${objects}.away`, objects);
      await connected();
    });
    assert.equal(await allHbone(), true);
  });
});

test("an istiod-lite without what it had written back before is told again by the ztunnels", async () => {
  await cluster.istiod.stop();
  const { overlay } = cluster.client.paths;
  for (const name of await readdir(overlay)) await rm(join(overlay, name), { recursive: true });
  await cluster.istiod.start();
  for (const name of PODS) {
    await cluster.waitFor(name, (each) => redirectionOf(each) === "enabled", PATIENCE);
  }
  await cluster.until("all are reached by HBONE again", allHbone, PATIENCE);
  await underLoad(connected);
});
