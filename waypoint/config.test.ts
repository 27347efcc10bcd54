import assert from "node:assert/strict";
import { test } from "node:test";
import { loadConfig } from "./config.ts";
import { loadEngine } from "./load-engine.ts";

const ENV = {
  POD_NAME: "waypoint-0",
  POD_NAMESPACE: "shop",
  SERVICE_ACCOUNT: "waypoint",
  GATEWAY_NAME: "waypoint",
};

test("HTTP_ENGINE names the engine, llhttp without it", async () => {
  assert.equal(loadConfig(ENV).engine, "llhttp");
  for (const name of ["llhttp", "http-proxy", "undici"]) {
    const { engine } = loadConfig({ ...ENV, HTTP_ENGINE: name });
    assert.equal((await loadEngine(engine)).name, name);
  }
});

test("an engine that there is not is refused at start, with the names that there are", () => {
  assert.throws(() => loadConfig({ ...ENV, HTTP_ENGINE: "nginx" }), {
    code: "CONFIG_INVALID",
    message: /HTTP_ENGINE.*nginx.*llhttp.*http-proxy.*undici/s,
  });
});
