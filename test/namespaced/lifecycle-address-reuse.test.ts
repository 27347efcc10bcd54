/** A pod's address that goes to another pod: nothing of the old one goes on under it. */
import assert from "node:assert/strict";
import type net from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import { findRecords, waitForRecord } from "#test/support/access-log.ts";
import { redirectionOf, type TestCluster } from "#test/support/cluster.ts";
import { namespace, pod, SPIFFE } from "#test/support/objects.ts";
import { PodSockets, readBytes, readToEnd } from "#test/support/pod-sockets.ts";
import { type TimedCall, Traffic } from "#test/support/traffic.ts";
import { startMesh, untilSettled } from "#test/support/ztunnel-view.ts";

const PORT = 8080;
const ECHO_PORT = 7070;
/** Of node2's block: the address that goes from hand to hand. */
const ADDRESS = "10.244.2.77";
const CLIENT = "shop/client";

/** Namespace and name of a pod at the address. */
type Owner = readonly [where: string, name: string];

const OBJECTS = [
  namespace("shop", "ambient"),
  namespace("outside", undefined),
  ...pod({ namespace: "shop", name: "client", node: "node1" }),
  ...pod({ namespace: "shop", name: "guarded", node: "node1" }),
  {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "only-first", namespace: "shop" },
    spec: {
      selector: { matchLabels: { app: "guarded" } },
      rules: [{ from: [{ source: { principals: ["cluster.local/ns/shop/sa/first"] } }] }],
    },
  },
];

let cluster: TestCluster;
let sockets: PodSockets;
/** The sockets of the address's owner, which end with it. */
let owned: PodSockets;

before(async () => {
  cluster = await startMesh({ objects: OBJECTS });
  sockets = new PodSockets(cluster);
  await sockets.serve("shop/guarded", PORT, (socket) => void socket.resume().end("guarded"));
});

after(async () => {
  owned?.[Symbol.dispose]();
  sockets?.[Symbol.dispose]();
  await cluster?.stop();
});

/**
 * Gives the address to a pod that says its own name on PORT, and all that it hears on ECHO_PORT.
 */
async function own([where, name]: Owner): Promise<void> {
  await cluster.apply(...pod({ namespace: where, name, node: "node2", address: ADDRESS }));
  if (where === "shop") {
    await cluster.waitFor(`${where}/${name}`, (each) => redirectionOf(each) === "enabled");
  }
  await untilSettled(cluster);
  owned = new PodSockets(cluster);
  await owned.serve(`${where}/${name}`, PORT, (socket) => void socket.resume().end(name));
  await owned.serve(`${where}/${name}`, ECHO_PORT, (socket) => void socket.pipe(socket));
}

async function disown([where, name]: Owner): Promise<void> {
  owned[Symbol.dispose]();
  await cluster.delete("Pod", `${where}/${name}`);
}

async function standing(): Promise<net.Socket> {
  const socket = await sockets.dial(CLIENT, { ip: ADDRESS, port: ECHO_PORT });
  socket.write("?");
  await readBytes(socket, 1);
  return socket;
}

/** Tunnels of the client to the address. */
async function tunnels(): Promise<number> {
  const filter = ["state", "established", "dst", ADDRESS, "dport", "=", ":15008"];
  const { stdout } = await cluster.inPodNetns(CLIENT, ["ss", "-Htn", ...filter]);
  return stdout.split("\n").filter((line) => line !== "").length;
}

const WAYS = [
  ["a pod of another identity", ["shop", "first"], ["shop", "second"]],
  ["a pod outside the mesh", ["shop", "first"], ["outside", "second"]],
  ["a pod in the mesh", ["outside", "first"], ["shop", "second"]],
] as const satisfies readonly (readonly [string, Owner, Owner])[];

describe("when a server's address goes to", () => {
  let last: Owner;
  afterEach(() => disown(last));

  for (const [title, first, second] of WAYS) {
    test(`${title}, new connections are with that one, and none goes on with the old`, async (t) => {
      last = second;
      await own(first);
      const old = await standing();
      const ended = readToEnd(old);
      const traffic = new Traffic(sockets, CLIENT, { ip: ADDRESS, port: PORT }, { pauseMs: 20 });
      t.after(() => traffic.stop());
      await cluster.until("the old one answers", () => traffic.calls.length > 10);
      await disown(first);
      await own(second);
      const answered = () => traffic.calls.filter(({ received }) => String(received) === "second");
      // A call to the address while nobody had it may only be over after its connect timeout.
      const often = (): boolean => answered().length > 10;
      await cluster.until("the new one answers", often, { timeoutMs: 30_000 });
      await traffic.stop();

      const answers = traffic.calls.map(({ received }) => String(received));
      assert.ok(answers.every((answer) => ["first", "second", ""].includes(answer)));
      assert.ok(answers.lastIndexOf("first") < answers.indexOf("second"));
      assert.match((await ended).how, /^(end|reset)$/);

      const meshed = second[0] === "shop";
      // The first may have been on its way since before the address changed hands.
      const { source } = traffic.calls[answers.lastIndexOf("second")] ?? {};
      // A call of the time in between may have had the same port.
      const wanted = { "src.addr": source ?? "", "dst.workload": "second" };
      const record = await waitForRecord(cluster, "node1", wanted);
      assert.equal(record["dst.identity"], meshed ? `${SPIFFE}/ns/shop/sa/second` : undefined);
      await cluster.until("no tunnel to the old one is left", async () => {
        return (await tunnels()) === (meshed ? 1 : 0);
      });
      // Those that were on their way to the first find another there, and are refused for it.
      const firstAnswer = traffic.calls[answers.indexOf("second")];
      const isNew = ({ startedAt }: TimedCall) => startedAt > (firstAnswer?.endedAt ?? 0);
      const after = traffic.calls.filter(isNew).map(({ received }) => String(received));
      assert.deepEqual([...new Set(after)], ["second"]);
    });
  }
});

test("when a client's address goes to another pod, the rights of the first do not", async () => {
  const target = { ip: await cluster.podIp("shop/guarded"), port: PORT };
  await own(["shop", "first"]);
  const first = await sockets.call("shop/first", target);
  assert.equal(String(first.received), "guarded");
  await disown(["shop", "first"]);

  await own(["shop", "second"]);
  const refused = await owned.call("shop/second", target);
  assert.deepEqual([refused.how, String(refused.received)], ["reset", ""]);
  const record = await waitForRecord(cluster, "node1", {
    "dst.workload": "guarded",
    direction: "inbound",
    reason: "no-allow-matched",
  });
  assert.equal(record["src.identity"], `${SPIFFE}/ns/shop/sa/second`);
  assert.equal(record["src.workload"], "second");
  await disown(["shop", "second"]);

  await own(["outside", "third"]);
  const plain = await owned.call("outside/third", target);
  assert.deepEqual([plain.how, String(plain.received)], ["reset", ""]);
  const records = await findRecords(cluster, "node1", { "src.workload": "first" });
  assert.equal(records.length, 1, "the only one is the first call");
  await disown(["outside", "third"]);
});
