import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { createLogger } from "#common/telemetry/logger.ts";
import {
  DENIAL_DOUBT_MS,
  DENIAL_KEPT_MS,
  DOUBTED_RETRY_MS,
} from "#istiod-lite/config/kubernetes/limits.ts";
import { askedOf, permissionGate } from "./permission-gate.ts";
import { failure, WritableServerFixture } from "./write/writable-server-fixture.ts";

const DENIED =
  'pods "web" is forbidden: User "system:serviceaccount:istio-system:istiod" cannot patch ' +
  'resource "pods/status" in API group "" in the namespace "shop"';

async function start(t: TestContext) {
  const server = await WritableServerFixture.start(t);
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  const state = { now: 0, denied: true };
  server.answer = () => (state.denied ? failure(403, "Forbidden", DENIED) : [200, {}]);
  const logger = createLogger({ level: "info", format: "text", write });
  const client = permissionGate(server.client(t), { logger, now: () => state.now });
  const patch = (pod: string, namespace = "shop") =>
    client.request({ method: "PATCH", path: `/api/v1/namespaces/${namespace}/pods/${pod}/status` });
  return { server, lines, state, patch };
}

describe("what may not be done", () => {
  it("is not believed of a server that has just started, and may be had a moment later", async (t) => {
    const { lines, state, patch } = await start(t);
    await assert.rejects(patch("a"), { code: "WRITE_HELD_BACK" });
    state.now += DOUBTED_RETRY_MS;
    state.denied = false;
    await patch("a");
    assert.deepEqual(lines, []);
  });

  it("is told once with the missing verb, and asked for again after a while", async (t) => {
    const { server, lines, state, patch } = await start(t);
    await assert.rejects(patch("a"), { code: "WRITE_HELD_BACK" });
    assert.deepEqual(lines, []);
    state.now += DENIAL_DOUBT_MS;
    server.asked.length = 0;
    for (const pod of ["a", "b", "c"]) {
      await assert.rejects(patch(pod), { code: "WRITE_HELD_BACK", message: /patch pods\/status/ });
    }
    await assert.rejects(patch("a", "other"), { code: "WRITE_HELD_BACK" });
    assert.equal(server.asked.length, 2, "once in each namespace");
    assert.equal(lines.length, 1);
    assert.match(lines.join(""), /what="patch pods\/status".*cannot patch resource.*hint=/);
    state.now += DENIAL_KEPT_MS;
    state.denied = false;
    await patch("a");
    await patch("b");
    assert.match(lines.join(""), /allowed again/);
  });

  it("for another reason than roles is not taken for one", async (t) => {
    const { server, lines, patch } = await start(t);
    server.answer = () => failure(403, "Forbidden", "exceeded quota: pods=10");
    await assert.rejects(patch("a"), { code: "KUBE_API", status: 403 });
    await assert.rejects(patch("a"), { code: "KUBE_API", status: 403 });
    assert.deepEqual([server.asked.length, lines.length], [2, 0]);
  });

  for (const [method, path, what, where] of [
    ["GET", "/api/v1/pods", "list pods", ""],
    ["GET", "/api/v1/namespaces", "list namespaces", ""],
    ["GET", "/api/v1/namespaces/shop", "get namespaces", ""],
    ["PATCH", "/api/v1/nodes/n", "patch nodes", ""],
    ["POST", "/api/v1/namespaces/shop/events", "create events", "shop"],
    ["PUT", "/apis/batch/v1/namespaces/i/jobs/l", "update jobs.batch", "i"],
    [
      "PATCH",
      "/apis/apps/v1/namespaces/s/deployments/d/status",
      "patch deployments.apps/status",
      "s",
    ],
  ] as const) {
    it(`is called as a role would: ${what}`, () => {
      assert.deepEqual(askedOf({ method, path }), { what, where });
    });
  }
});
