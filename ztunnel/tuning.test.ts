import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_TUNING, readTuning } from "./tuning.ts";

test("nothing said is what ztunnel has", () => {
  assert.deepEqual(readTuning({}), DEFAULT_TUNING);
  assert.deepEqual(DEFAULT_TUNING.keepalive, {
    enabled: true,
    idleS: 180,
    intervalS: 180,
    probes: 9,
    userTimeout: false,
  });
});

test("every setting has its variable", () => {
  const tuning = readTuning({
    KEEPALIVE_ENABLED: "true",
    KEEPALIVE_TIME: "60s",
    KEEPALIVE_INTERVAL: "1m30s",
    KEEPALIVE_RETRIES: "3",
    USER_TIMEOUT_ENABLED: "true",
    POOL_MAX_STREAMS_PER_CONNECTION: "7",
    POOL_UNUSED_RELEASE_TIMEOUT: "90s",
    HTTP2_STREAM_WINDOW_SIZE: "65535",
    HTTP2_CONNECTION_WINDOW_SIZE: "1048576",
    HTTP2_FRAME_SIZE: "16384",
  });
  assert.deepEqual(tuning, {
    keepalive: { enabled: true, idleS: 60, intervalS: 90, probes: 3, userTimeout: true },
    streamsPerTunnel: 7,
    tunnelIdleMs: 90_000,
    http2: { streamWindowBytes: 65_535, connectionWindowBytes: 1_048_576, maxFrameBytes: 16_384 },
  });
});

const WRONG = {
  KEEPALIVE_ENABLED: "1",
  KEEPALIVE_TIME: "0s",
  KEEPALIVE_INTERVAL: "32768s",
  KEEPALIVE_RETRIES: "128",
  POOL_MAX_STREAMS_PER_CONNECTION: "0",
  POOL_UNUSED_RELEASE_TIMEOUT: "soon",
  HTTP2_STREAM_WINDOW_SIZE: "1000",
  HTTP2_CONNECTION_WINDOW_SIZE: "4294967296",
  HTTP2_FRAME_SIZE: "8192",
};
for (const [name, value] of Object.entries(WRONG)) {
  test(`${name}=${value} is refused by name, with what is allowed`, () => {
    assert.throws(() => readTuning({ [name]: value }), {
      code: "CONFIG_INVALID",
      message: new RegExp(`^${name}=${value} is not valid: it takes `),
    });
  });
}
