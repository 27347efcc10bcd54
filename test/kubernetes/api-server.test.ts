/** The harness itself: an API server with its controllers, alone and twice at once. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { startKubernetes } from "./harness/cluster.ts";

test("clusters stand side by side, and nothing of them is left", async () => {
  const [first, second] = await Promise.all([startKubernetes(), startKubernetes()]);
  try {
    await first.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "only-here" } });
    assert.match(await first.check(["get", "namespaces"]), /only-here/);
    assert.doesNotMatch(await second.check(["get", "namespaces"]), /only-here/);
  } finally {
    await Promise.all([first.stop(), second.stop()]);
  }
  for (const cluster of [first, second]) assert.equal(existsSync(cluster.logFolder), false);
});
