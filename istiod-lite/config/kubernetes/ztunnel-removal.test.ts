import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { Pod } from "#common/kubernetes/objects.ts";
import { failure, WritableServerFixture } from "./write/writable-server-fixture.ts";
import { areZtunnelsRemoved } from "./ztunnel-removal.ts";

const PATH = "/apis/apps/v1/namespaces/istio-system/daemonsets";

function ztunnel(ownerKind: string | undefined): Pod {
  const owner = { apiVersion: "apps/v1", kind: ownerKind ?? "", name: "ztunnel", controller: true };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "ztunnel-x",
      namespace: "istio-system",
      ...(ownerKind !== undefined && { ownerReferences: [owner] }),
    },
    spec: { serviceAccountName: "ztunnel", containers: [] },
  };
}

async function start(t: TestContext) {
  const server = await WritableServerFixture.start(t);
  const client = server.client(t);
  /** Labels are the user's to change: only the account counts. */
  const put = (name: string, serviceAccountName: string, metadata: object = {}): void => {
    const template = { spec: { serviceAccountName } };
    const object = { metadata: { name, labels: { app: "mine" }, ...metadata }, spec: { template } };
    server.put(`${PATH}/${name}`, { apiVersion: "apps/v1", kind: "DaemonSet", ...object });
  };
  return { server, put, removed: (pod?: Pod) => areZtunnelsRemoved(client, pod) };
}

describe("a ztunnel that ends", () => {
  it("is followed by another while a DaemonSet of its account stays", async (t) => {
    const { server, put, removed } = await start(t);
    put("ztunnel", "ztunnel");
    put("kube-proxy", "kube-proxy");
    assert.equal(await removed(ztunnel("DaemonSet")), false);
    put("ztunnel", "ztunnel", { deletionTimestamp: "2026-01-01T00:00:00Z" });
    assert.equal(await removed(ztunnel("DaemonSet")), true);
    put("ztunnel-next", "ztunnel");
    assert.equal(await removed(ztunnel("DaemonSet")), false);
    server.remove(`${PATH}/ztunnel-next`);
    server.remove(`${PATH}/ztunnel`);
    assert.equal(await removed(ztunnel("DaemonSet")), true);
  });

  it("and was made by nobody who is known, is never taken for the last", async (t) => {
    const { removed } = await start(t);
    assert.equal(await removed(ztunnel(undefined)), false);
    assert.equal(await removed(ztunnel("ReplicaSet")), false);
    assert.equal(await removed(undefined), false);
  });

  it("hears nothing for certain from an API server that refuses", async (t) => {
    const { server, removed } = await start(t);
    server.answer = () => failure(403, "Forbidden");
    await assert.rejects(removed(ztunnel("DaemonSet")), { status: 403 });
  });
});
