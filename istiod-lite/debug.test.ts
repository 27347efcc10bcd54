import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry as MetricsRegistry } from "prom-client";
import type { Query } from "#common/runtime/http-server.ts";
import { answerDebug, type DebugDeps } from "./debug.ts";
import { Registry } from "./registry/registry.ts";
import { DEFAULT_REGISTRY_OPTIONS } from "./registry/registry-options.ts";

const deps: DebugDeps = {
  unready: () => undefined,
  metrics: new MetricsRegistry(),
  view: new Registry(DEFAULT_REGISTRY_OPTIONS).resources,
  proxies: () => [],
};

function statusOf(path: string, fromLoopback: boolean): Promise<number> {
  const parameters = new URLSearchParams();
  const query: Query = { method: "GET", path, parameters, acceptsGzip: false, fromLoopback };
  return answerDebug(query, deps).then(({ status }) => status);
}

test("what the mesh consists of is told to localhost only", async () => {
  for (const path of ["/debug/syncz", "/debug/registryz"]) {
    assert.equal(await statusOf(path, true), 200);
    assert.equal(await statusOf(path, false), 403);
  }
});

test("probes and Prometheus get their answers from anywhere", async () => {
  for (const path of ["/healthz/ready", "/metrics"]) assert.equal(await statusOf(path, false), 200);
});

test("istioctl's way to write a path is understood, and opens nothing", async () => {
  assert.equal(await statusOf("//version", false), 200);
  assert.equal(await statusOf("//debug/syncz", false), 403);
});

test("whoever asks whether it is ready is told why it is not", async () => {
  const query = { method: "GET", path: "/healthz/ready", acceptsGzip: false, fromLoopback: false };
  const parameters = new URLSearchParams();
  const answer = await answerDebug(
    { ...query, parameters },
    { ...deps, unready: () => "the source is lost" },
  );
  assert.deepEqual([answer.status, answer.body], [503, "not ready: the source is lost\n"]);
});
