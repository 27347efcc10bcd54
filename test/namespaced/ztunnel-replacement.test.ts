/** A new ztunnel takes over from an old one under load: nobody who connects notices. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type net from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestCluster } from "#test/support/cluster.ts";
import { namespace, pod, service } from "#test/support/objects.ts";
import { PodSockets, type Target } from "#test/support/pod-sockets.ts";
import { startMesh } from "#test/support/ztunnel-view.ts";

const PORT = 8080;
const REPLACEMENTS = 20;
const NEW_PER_SECOND = 500;
const TICK_MS = 20;
/** Longer than the test takes on any machine: what stands is to stand to its end. */
const DRAIN_DEADLINE = "900s";
const HELD = 10;
/** A machine that cannot keep up makes fewer calls, not more at once. */
const MAX_UNDER_WAY = 500;
const OBJECTS = [
  namespace("shop", "ambient"),
  ...pod({ namespace: "shop", name: "client", node: "node1" }),
  ...pod({ namespace: "shop", name: "web", node: "node2" }),
  service({ namespace: "shop", name: "web", port: 80, targetPort: PORT }),
];

describe("a ztunnel that is replaced", () => {
  let cluster: TestCluster;
  let sockets: PodSockets;
  let vip: Target;

  before(async () => {
    const env = { CONNECTION_TERMINATION_DEADLINE: DRAIN_DEADLINE };
    cluster = await startMesh({ objects: OBJECTS, ztunnel: { env } });
    sockets = new PodSockets(cluster);
    await sockets.serve("shop/web", PORT, (socket) => {
      socket.on("error", () => undefined).pipe(socket);
    });
    const { spec } = (await cluster.find("Service", "shop/web")) ?? {};
    vip = { ip: spec?.clusterIP ?? "", port: 80 };
  });

  after(async () => {
    sockets?.[Symbol.dispose]();
    await cluster?.stop();
  });

  const title = "fails no new connection, and lets those that stand go on (D4.73)";
  test(title, { timeout: 400_000 }, async () => {
    const held = await sockets.dialMany("shop/client", vip, HELD);
    for (const socket of held) assert.equal(await echo(socket, "before"), "before");
    const call = await sockets.caller("shop/client");
    const load = new Load(() => call(vip, "ping"));
    try {
      for (let i = 0; i < REPLACEMENTS; i++) await replace(i % 2 === 0 ? "node1" : "node2");
    } finally {
      await load.stop();
    }
    const { calls, failures } = load;
    assert.deepEqual(failures, []);
    assert.ok(calls > REPLACEMENTS * NEW_PER_SECOND * 0.1, `only ${calls} calls were made`);
    for (const socket of held) assert.equal(await echo(socket, "after"), "after");
    for (const socket of held) socket.destroy();
  });

  test("stays where the new one does not come up", async () => {
    const ztunnel = cluster.ztunnel("node1");
    const pid = await ztunnel.pid();
    await assert.rejects(ztunnel.replace({ LOG_LEVEL: "shout" }), /did not become ready/);
    assert.equal(await ztunnel.pid(), pid);
    assert.equal((await sockets.call("shop/client", vip, "ping")).received.toString(), "ping");
  });

  async function replace(node: string): Promise<void> {
    const before = await cluster.ztunnel(node).pid();
    await cluster.ztunnel(node).replace();
    assert.notEqual(await cluster.ztunnel(node).pid(), before);
  }
});

async function echo(socket: net.Socket, text: string): Promise<string> {
  socket.write(text);
  const [data] = await Promise.race([once(socket, "data"), once(socket, "close")]);
  return String(data);
}

/** Calls at a fixed rate. */
class Load {
  readonly #call: () => Promise<{ readonly how: string; readonly received: Buffer }>;
  readonly failures: string[] = [];
  readonly #underWay = new Set<Promise<void>>();
  readonly #running: Promise<void>;
  calls = 0;
  #stopped = false;

  constructor(call: () => Promise<{ readonly how: string; readonly received: Buffer }>) {
    this.#call = call;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await Promise.all(this.#underWay);
  }

  async #run(): Promise<void> {
    const startedAt = performance.now();
    while (!this.#stopped) {
      const due = ((performance.now() - startedAt) / 1000) * NEW_PER_SECOND;
      while (this.calls < due && this.#underWay.size < MAX_UNDER_WAY) this.#start();
      await sleep(TICK_MS);
    }
  }

  #start(): void {
    this.calls++;
    const done = this.#one().finally(() => this.#underWay.delete(done));
    this.#underWay.add(done);
  }

  async #one(): Promise<void> {
    const { how, received } = await this.#call();
    if (how !== "end" || received.toString() !== "ping") {
      this.failures.push(`${how} after ${received.length} bytes`);
    }
  }
}
