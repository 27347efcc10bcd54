import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { AuthorizationPolicy } from "#common/kubernetes/objects.ts";
import { ObjectStore } from "./store.ts";

const policy = (
  action: "ALLOW" | "DENY",
  labels?: Record<string, string>,
): AuthorizationPolicy => ({
  apiVersion: "security.istio.io/v1",
  kind: "AuthorizationPolicy",
  metadata: { name: "p", namespace: "shop", ...(labels === undefined ? {} : { labels }) },
  spec: { action },
});

function newStore(): ObjectStore {
  let uids = 0;
  let seconds = 0;
  return new ObjectStore({
    newUid: () => `uid-${++uids}`,
    now: () => new Date(1_700_000_000_000 + 1000 * seconds++),
  });
}

describe("what the cluster adds to objects", () => {
  test("stays with an object; the generation counts changes of what it asks for", () => {
    const store = newStore();
    const first = store.stamp(policy("ALLOW"));
    assert.equal(store.stamp(policy("ALLOW")), first, "the very same value");
    const labelled = store.stamp(policy("ALLOW", { a: "b" }));
    const changed = store.stamp(policy("DENY", { a: "b" }));
    const kept = [first, labelled, changed].map((object) => object.metadata);
    assert.deepEqual(
      kept.map((m) => m.uid),
      ["uid-1", "uid-1", "uid-1"],
    );
    assert.deepEqual(new Set(kept.map((m) => m.creationTimestamp)).size, 1);
    assert.deepEqual(
      kept.map((m) => m.generation),
      [1, 1, 2],
    );
    assert.deepEqual(
      kept.map((m) => m.resourceVersion),
      ["1", "2", "3"],
    );
  });

  test("is new for an object that was away", () => {
    const store = newStore();
    const first = store.stamp(policy("ALLOW"));
    store.keep(new Set());
    const second = store.stamp(policy("ALLOW"));
    assert.notEqual(second.metadata.uid, first.metadata.uid);
    assert.notEqual(second.metadata.creationTimestamp, first.metadata.creationTimestamp);
  });

  test("gives way to what the object says of itself", () => {
    const own = policy("ALLOW");
    const creationTimestamp = "2020-01-01T00:00:00Z";
    const stamped = newStore().stamp({ ...own, metadata: { ...own.metadata, creationTimestamp } });
    assert.equal(stamped.metadata.creationTimestamp, creationTimestamp);
  });
});
