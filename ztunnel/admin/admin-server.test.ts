import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import { serveAdmin } from "./admin-server.ts";
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

test("log levels are changed by POST only", async () => {
  const { url, logger } = await admin();
  assert.equal((await fetch(url("/logging?level=debug"))).status, 405);
  assert.equal(String(logger.levels), "info");
  const answer = await fetch(url("/logging?level=debug"), { method: "POST" });
  assert.equal(await answer.text(), "current log level is debug\n");
  assert.equal(String(logger.levels), "debug");
});

test("every other method is refused with those there are", async () => {
  const { url } = await admin();
  for (const [path, allow] of [
    ["/", "GET, HEAD"],
    ["/config_dump", "GET, HEAD"],
    ["/logging", "POST"],
    ["/quitquitquit", "POST"],
  ] as const) {
    const response = await fetch(url(path), { method: "DELETE" });
    assert.equal(response.status, 405);
    assert.equal(response.headers.get("allow"), allow);
  }
});

test("pages that there are not are not found, also those that every object has", async () => {
  const { url } = await admin();
  for (const path of ["/config_dump/", "/CONFIG_DUMP", "/constructor", "/__proto__", "//"]) {
    assert.equal((await fetch(url(path))).status, 404, path);
  }
});

test("the first page names the others", async () => {
  const { url } = await admin();
  const response = await fetch(url("/"));
  assert.match(response.headers.get("content-type") ?? "", /^text\/html/);
  assert.match(await response.text(), /href="\/config_dump"[\s\S]*POST \/logging/);
});

test("only POST ends the process", async () => {
  const { url, quits } = await admin();
  assert.equal((await fetch(url("/quitquitquit"))).status, 405);
  assert.equal(quits(), 0);
  assert.equal((await fetch(url("/quitquitquit"), { method: "POST" })).status, 200);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(quits(), 1);
});
