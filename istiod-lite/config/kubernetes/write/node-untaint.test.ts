import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Node, ObjectChange, Pod } from "#common/kubernetes/objects.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import { TestLeadership } from "#istiod-lite/config/kubernetes/leader/leader-fixture.ts";
import { ReadyZtunnels } from "#istiod-lite/config/kubernetes/ready-ztunnels.ts";
import { NodeUntaint } from "./node-untaint.ts";
import { WritableServerFixture } from "./writable-server-fixture.ts";

const TAINT = "cni.istio.io/not-ready";
const OTHER = { key: "team", effect: "NoSchedule" };
const PATH = "/api/v1/nodes/node-1";

function node(taints: NonNullable<Node["spec"]>["taints"] = []): Node {
  return { apiVersion: "v1", kind: "Node", metadata: { name: "node-1" }, spec: { taints } };
}

function ztunnel(ready: boolean, { account = "ztunnel", namespace = "istio-system" } = {}): Pod {
  const condition = { type: "Ready", status: ready ? "True" : "False" } as const;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "ztunnel-x", namespace },
    spec: { nodeName: "node-1", serviceAccountName: account, containers: [] },
    status: { conditions: [condition] },
  };
}

function change(object: Node | Pod): ObjectChange {
  const { kind, metadata } = object;
  return { key: `${kind}/${metadata.namespace ?? ""}/${metadata.name}`, kind, object };
}

async function start(t: TestContext, isLeader = true) {
  const server = await WritableServerFixture.start(t);
  const logger = createLogger({ level: "error", format: "text", write: () => undefined });
  const ztunnels = new ReadyZtunnels("istio-system", TAINT);
  const leadership = new TestLeadership(isLeader);
  const client = server.client(t);
  const untaint = new NodeUntaint({ client, leadership, logger, ztunnels, taintKey: TAINT });
  t.after(() => untaint.close());
  const apply = (...objects: (Node | Pod)[]): void =>
    untaint.look(ztunnels.apply(objects.map(change)));
  const taints = () => (server.get(PATH) as unknown as Node).spec?.taints;
  const until = async (wanted: () => boolean): Promise<void> => {
    for (let tries = 0; !wanted(); tries++) {
      assert.ok(tries < 4_000, "in time");
      await sleep(5);
    }
  };
  const tainted = node([OTHER, { key: TAINT, effect: "NoSchedule" }]);
  server.put(PATH, tainted);
  return { server, ztunnels, leadership, apply, taints, until, tainted };
}

describe("a node that waits for its ztunnel", () => {
  it("loses the taint, and no other, when the ztunnel is ready", async (t) => {
    const { server, apply, taints, until, tainted } = await start(t);
    apply(tainted, ztunnel(false));
    await sleep(20);
    assert.deepEqual(server.asked, []);
    apply(ztunnel(true));
    await until(() => taints()?.length === 1);
    assert.deepEqual(taints(), [OTHER]);
  });

  it("keeps it while only pods of others are ready, or this replica does not lead", async (t) => {
    const { server, leadership, apply, taints, until, tainted } = await start(t, false);
    apply(tainted, ztunnel(true, { account: "other" }), ztunnel(true, { namespace: "shop" }));
    leadership.set(true);
    await sleep(20);
    assert.deepEqual(server.asked, []);
    leadership.set(false);
    apply(ztunnel(true));
    await sleep(20);
    assert.deepEqual(server.asked, []);
    leadership.set(true);
    await until(() => taints()?.length === 1);
  });

  it("is known to have a ztunnel only as long as one is ready", async (t) => {
    const { ztunnels, apply } = await start(t);
    apply(ztunnel(true));
    assert.equal(ztunnels.has("node-1"), true);
    apply(ztunnel(false));
    assert.equal(ztunnels.has("node-1"), false);
    apply(ztunnel(true));
    ztunnels.apply([{ key: "Pod/istio-system/ztunnel-x", kind: "Pod" }]);
    assert.equal(ztunnels.has("node-1"), false);
  });

  it("that others change at the same time keeps what they wrote", async (t) => {
    const { server, apply, taints, until, tainted } = await start(t);
    let raced = false;
    server.answer = ({ method }) => {
      if (method === "PATCH" && !raced) {
        raced = true;
        server.put(PATH, node([...(tainted.spec?.taints ?? []), { key: "new" }]));
      }
      return undefined;
    };
    apply(tainted, ztunnel(true));
    await until(() => taints()?.every(({ key }) => key !== TAINT) === true);
    assert.deepEqual(taints(), [OTHER, { key: "new" }]);
  });
});
