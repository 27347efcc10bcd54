import assert from "node:assert/strict";
import { test } from "node:test";
import { loadConfig } from "./config.ts";

const NODE = { NODE_NAME: "n1" };

test("the defaults are Istio's", () => {
  const config = loadConfig(NODE);
  assert.equal(config.xds.url, "https://istiod.istio-system.svc:15012");
  assert.equal(config.xds.rootCertFile, "/var/run/secrets/istio/root-cert.pem");
  assert.equal(config.tokenFile, "/var/run/secrets/tokens/istio-token");
  assert.equal(config.certificateTtlSeconds, 86_400);
  assert.equal(config.metricsPort, 15020);
});

test("the drain deadline follows the grace period, or is what was asked for", () => {
  const deadline = (env: object) => loadConfig({ ...NODE, ...env }).drainDeadlineMs;
  assert.equal(deadline({ TERMINATION_GRACE_PERIOD_SECONDS: "30" }), 25_000);
  assert.equal(deadline({ TERMINATION_GRACE_PERIOD_SECONDS: "10" }), 9_000);
  assert.equal(deadline({ TERMINATION_GRACE_PERIOD_SECONDS: "1" }), 0);
  assert.equal(deadline({ CONNECTION_TERMINATION_DEADLINE: "500ms" }), 500);
  assert.equal(deadline({ CONNECTION_TERMINATION_DEADLINE: "2" }), 2_000);
});

const WRONG = {
  XDS_ADDRESS: "http://istiod:15010",
  CA_ADDRESS: "istiod:15012/path",
  INSTANCE_IP: "10.0.0",
  ZTUNNEL_WORKER_THREADS: "0",
  ENABLE_ORIG_SRC: "yes",
  RUST_LOG: "loud",
  STATS_PORT: "70000",
  CONNECTION_TERMINATION_DEADLINE: "soon",
  SECRET_TTL: "-1",
  "XDS_HEADER_a b": "c",
};
for (const [name, value] of Object.entries(WRONG)) {
  test(`a wrong ${name} is refused by name, with the value and what is allowed`, () => {
    assert.throws(() => loadConfig({ ...NODE, [name]: value }), {
      code: "CONFIG_INVALID",
      message: new RegExp(`^${name}=${value.replace(/[/.]/g, "\\$&")} is not valid: it takes `),
    });
  });
}

test("what Istio's charts write is understood", () => {
  const config = loadConfig({
    ...NODE,
    XDS_ADDRESS: "istiod.istio-system.svc:15012",
    CA_ADDRESS: "10.0.0.1:15012",
    RUST_LOG: "info,xds=debug",
    SECRET_TTL: "24h0m0s",
    XDS_HEADER_X_FOO: "bar",
    CA_HEADER_CERTSIGNER: "x",
  });
  assert.equal(config.xds.url, "https://istiod.istio-system.svc:15012");
  assert.equal(config.ca.url, "https://10.0.0.1:15012");
  assert.equal(config.logLevel, "info");
  assert.equal(config.certificateTtlSeconds, 86_400);
  assert.deepEqual(config.xds.headers, { x_foo: "bar" });
  assert.deepEqual(config.ca.headers, { certsigner: "x" });
  assert.equal(loadConfig({ ...NODE, RUST_LOG: "xds=debug", LOG_LEVEL: "warn" }).logLevel, "warn");
});

test("a missing NODE_NAME says what it is for", () => {
  assert.throws(() => loadConfig({}), /NODE_NAME is not set/);
});
