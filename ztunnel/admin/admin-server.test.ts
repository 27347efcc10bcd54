import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Registry } from "prom-client";
import { createLogger } from "#common/telemetry/logger.ts";
import { ProxyState } from "#ztunnel/state/proxy-state.ts";
import { serveAdmin, serveMetrics, serveReadiness } from "./admin-server.ts";
import { writeConfigDump } from "./config-dump.ts";

const closers: (() => Promise<void>)[] = [];
after(() => Promise.all(closers.map((close) => close())));

async function admin() {
  const logger = createLogger({ level: "info", format: "text", write: () => undefined });
  let quits = 0;
  const server = await serveAdmin(0, {
    configDump: async () =>
      writeConfigDump({
        state: new ProxyState({ network: "" }),
        certificates: [],
        pods: [],
        version: { version: "test" },
        config: {},
      }),
    logger,
    initialLogLevels: logger.levels,
    quit: () => quits++,
  });
  closers.push(server.close);
  const url = (path: string) => `http://127.0.0.1:${server.port}${path}`;
  return { url, logger, quits: () => quits };
}

test("an empty dump has every key that istioctl reads", async () => {
  const { url } = await admin();
  const response = await fetch(url("/config_dump"));
  const dump = (await response.json()) as object;
  assert.deepEqual(Object.keys(dump).sort(), [
    "certificates",
    "config",
    "policies",
    "services",
    "stagedServices",
    "staticConfig",
    "version",
    "workloadState",
    "workloads",
  ]);
});

test("the log level is shown, set, refused and reset as ztunnel does", async () => {
  const { url, logger } = await admin();
  const post = async (path: string) => {
    const response = await fetch(url(path), { method: "POST" });
    return `${response.status} ${await response.text()}`;
  };
  assert.equal(await post("/logging"), "200 current log level is info\n");
  assert.equal(await post("/logging?level=debug"), "200 current log level is debug\n");
  assert.equal(String(logger.levels), "debug");
  assert.match(await post("/logging?level=loud"), /^400 Invalid level provided: loud/);
  assert.equal(await post("/logging?reset="), "200 current log level is info\n");
  assert.equal((await fetch(url("/logging"))).status, 405);
});

test("only POST ends the process", async () => {
  const { url, quits } = await admin();
  assert.equal((await fetch(url("/quitquitquit"))).status, 405);
  assert.equal(quits(), 0);
  assert.equal((await fetch(url("/quitquitquit"), { method: "POST" })).status, 200);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(quits(), 1);
});

test("readiness names what is pending", async () => {
  const pending = ["state"];
  const server = await serveReadiness(0, () => pending);
  closers.push(server.close);
  const ask = async () => {
    const response = await fetch(`http://127.0.0.1:${server.port}/healthz/ready`);
    return `${response.status} ${await response.text()}`;
  };
  assert.equal(await ask(), "500 not ready, pending: state\n");
  pending.pop();
  assert.equal(await ask(), "200 ready\n");
});

test("metrics are served at both paths, compressed where asked for", async () => {
  const server = await serveMetrics(0, new Registry());
  closers.push(server.close);
  for (const path of ["/metrics", "/stats/prometheus"]) {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-encoding"), "gzip");
  }
});
