import assert from "node:assert/strict";
import { test } from "node:test";
import { workerThreads } from "./worker-threads.ts";

const threads = (env: Record<string, string>, cores = 8, concurrency?: number) =>
  workerThreads(env, cores, concurrency);

test("by default there is one worker per four cores, and always one", () => {
  assert.deepEqual(
    [1, 2, 4, 5, 8, 32].map((cores) => threads({}, cores)),
    [1, 1, 1, 2, 2, 8],
  );
});

test("a count, a share and all cores can be asked for", () => {
  assert.equal(threads({ ZTUNNEL_WORKER_THREADS: "3" }), 3);
  assert.equal(threads({ ZTUNNEL_WORKER_THREADS: "30%" }), 3);
  assert.equal(threads({ ZTUNNEL_WORKER_THREADS: "1%" }), 1);
  assert.equal(threads({ ZTUNNEL_WORKER_THREADS: "0" }), 8);
  assert.equal(threads({ ZTUNNEL_WORKER_THREADS: "0", ZTUNNEL_CPU_LIMIT: "6" }), 6);
});

test("a CPU limit is the count, and a request the least of it", () => {
  assert.equal(threads({ ZTUNNEL_RESOURCE_CPU_LIMIT: "2500m" }), 3);
  assert.equal(threads({ ZTUNNEL_RESOURCE_CPU_LIMIT: "500m" }), 1);
  assert.equal(threads({ ZTUNNEL_RESOURCE_CPU_REQUEST: "5" }), 5);
  assert.equal(threads({ ZTUNNEL_RESOURCE_CPU_LIMIT: "2", ZTUNNEL_RESOURCE_CPU_REQUEST: "4" }), 4);
});

test("PROXY_CONFIG's concurrency counts where no variable does, and nothing goes above the bound", () => {
  assert.equal(threads({}, 8, 3), 3);
  assert.equal(threads({}, 8, 0), 8);
  assert.equal(threads({ ZTUNNEL_WORKER_THREADS: "2" }, 8, 3), 2);
  assert.equal(threads({}, 1000), 64);
});

for (const value of ["-1", "0%", "101%", "65", "two", "1.5"]) {
  test(`ZTUNNEL_WORKER_THREADS=${value} is refused`, () => {
    assert.throws(() => threads({ ZTUNNEL_WORKER_THREADS: value }), { code: "CONFIG_INVALID" });
  });
}

for (const value of ["0", "-1", "1k", "m"]) {
  test(`a CPU limit of ${value} is refused`, () => {
    assert.throws(() => threads({ ZTUNNEL_CPU_LIMIT: value }), { code: "CONFIG_INVALID" });
  });
}
