/**
 * Pods that leave the mesh and come back, by label, while they talk: to each other and to others.
 */
import assert from "node:assert/strict";
import type net from "node:net";
import { after, before, describe, test } from "node:test";
import { waitForRecord } from "#test/support/access-log.ts";
import { redirectionOf, type TestCluster } from "#test/support/cluster.ts";
import { namespace, pod, SPIFFE, service } from "#test/support/objects.ts";
import { PodSockets, readBytes, type Target } from "#test/support/pod-sockets.ts";
import { failures, Traffic } from "#test/support/traffic.ts";
import { startMesh, untilSettled } from "#test/support/ztunnel-view.ts";

const PORT = 8080;
const ECHO_PORT = 7070;
const CLIENTS = ["shop/near", "shop/far", "outside/client"];
const REQUESTS = 50;
const isAnswer = (text: string): boolean => text === "web";

const POD = { namespace: "shop", name: "web", node: "node2" } as const;
const OBJECTS = [
  namespace("shop", "ambient"),
  namespace("outside", undefined),
  ...pod({ namespace: "shop", name: "far", node: "node1" }),
  ...pod({ namespace: "shop", name: "near", node: "node2" }),
  ...pod({ namespace: "outside", name: "client", node: "node1" }),
  ...pod(POD),
  service({ namespace: "shop", name: "web" }),
];

let cluster: TestCluster;
let sockets: PodSockets;
let target: Target;

before(async () => {
  cluster = await startMesh({ objects: OBJECTS });
  sockets = new PodSockets(cluster);
  await sockets.serve("shop/web", PORT, (socket) => void socket.resume().end("web"));
  await sockets.serve("shop/web", ECHO_PORT, (socket) => void socket.pipe(socket));
  const { spec } = (await cluster.find("Service", "shop/web")) ?? {};
  target = { ip: spec?.clusterIP ?? "", port: 80 };
});

after(async () => {
  sockets?.[Symbol.dispose]();
  await cluster?.stop();
});

type Step = readonly [
  title: string,
  apply: readonly object[],
  /** Whether shop/web and its neighbours of the namespace are captured then. */
  captured: { readonly web: boolean; readonly others: boolean },
  /** Something is taken in, nothing is taken out. */
  isEnrolment: boolean,
];

const label = (mode: "ambient" | "none") =>
  pod({ ...POD, labels: { "istio.io/dataplane-mode": mode } });

const STEPS: readonly Step[] = [
  ["a pod is taken out by its own label", label("none"), { web: false, others: true }, false],
  ["it comes back", pod(POD), { web: true, others: true }, true],
  [
    "its namespace is taken out",
    [namespace("shop", undefined)],
    { web: false, others: false },
    false,
  ],
  ["it is taken in by its own label", label("ambient"), { web: true, others: false }, true],
  ["its namespace is taken in", [namespace("shop", "ambient")], { web: true, others: true }, true],
];

async function untilCaptured(step: Step[2]): Promise<void> {
  const state = (captured: boolean) => (captured ? "enabled" : undefined);
  await cluster.waitFor("shop/web", (web) => redirectionOf(web) === state(step.web));
  for (const name of ["shop/near", "shop/far"]) {
    await cluster.waitFor(name, (other) => redirectionOf(other) === state(step.others));
  }
  await untilSettled(cluster);
}

describe("under traffic from within the mesh and from outside,", () => {
  for (const [title, objects, captured, isEnrolment] of STEPS) {
    test(`${title}: the annotation says so, and traffic goes on`, async (t) => {
      const traffic = CLIENTS.map((from) => new Traffic(sockets, from, target, { rows: 2 }));
      t.after(() => Promise.all(traffic.map((each) => each.stop())));
      const standing = await Promise.all(CLIENTS.map(stand));
      await cluster.until("there is traffic", () => traffic.every(({ calls }) => calls.length > 5));
      await cluster.apply(...objects);
      await untilCaptured(captured);
      const counts = traffic.map(({ calls }) => calls.length);
      const goesOn = (): boolean =>
        traffic.every(({ calls }, i) => calls.length > (counts[i] ?? 0) + REQUESTS);
      await cluster.until("traffic goes on", goesOn, { timeoutMs: 60_000 });
      for (const [i, each] of traffic.entries()) {
        await each.stop();
        assert.deepEqual([CLIENTS[i], failures(each.calls, isAnswer)], [CLIENTS[i], {}]);
      }
      // Those from before the mesh go on without it; those of the mesh end with it. None hangs.
      for (const each of standing) {
        const does = await stands(each);
        if (isEnrolment) assert.equal(does, true);
      }
      await checkWay(captured.web && captured.others);
    });
  }
});

/** A connection of shop/far takes the tunnel or passes the mesh by. */
async function checkWay(tunnelled: boolean): Promise<void> {
  const { source, received } = await sockets.call("shop/far", target);
  assert.equal(String(received), "web");
  if (!tunnelled) return;
  const record = await waitForRecord(cluster, "node1", { "src.addr": source });
  assert.equal(record["dst.identity"], `${SPIFFE}/ns/shop/sa/web`);
}

/** A connection that stands, until it does not. */
interface Standing {
  readonly socket: net.Socket;
  ended: boolean;
}

async function stand(from: string): Promise<Standing> {
  const ip = await cluster.podIp("shop/web");
  const socket = await sockets.dial(from, { ip, port: ECHO_PORT });
  const standing = { socket, ended: false };
  for (const event of ["end", "error", "close"]) {
    socket.once(event, () => {
      standing.ended = true;
    });
  }
  assert.equal(await stands(standing), true);
  return standing;
}

/** Whether it carries a byte and its echo; it is over otherwise, and never hangs. */
async function stands({ socket, ended }: Standing): Promise<boolean> {
  if (ended) return false;
  socket.write("?");
  return readBytes(socket, 1).then(
    () => {
      socket.resume();
      return true;
    },
    () => false,
  );
}
