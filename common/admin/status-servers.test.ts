import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "prom-client";
import { serveMetrics, serveReadiness } from "./status-servers.ts";

test("metrics are served at both paths, compressed where asked for", async (t) => {
  const server = await serveMetrics(0, new Registry());
  t.after(() => server.close());
  for (const path of ["/metrics", "/stats/prometheus"]) {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-encoding"), "gzip");
  }
});

test("readiness names what is pending", async (t) => {
  const pending = ["state"];
  const server = await serveReadiness(0, () => pending);
  t.after(() => server.close());
  const ask = async () => {
    const response = await fetch(`http://127.0.0.1:${server.port}/healthz/ready`);
    return `${response.status} ${await response.text()}`;
  };
  assert.equal(await ask(), "500 not ready, pending: state\n");
  pending.pop();
  assert.equal(await ask(), "200 ready\n");
});
