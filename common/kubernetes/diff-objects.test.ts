/** Changes between two sets of objects. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { diffObjects } from "#common/kubernetes/diff-objects.ts";
import { anyObject } from "#common/kubernetes/object-arbitraries.ts";
import { type KubernetesObject, objectKey } from "#common/kubernetes/objects.ts";

const objects = fc.uniqueArray(anyObject, { selector: objectKey, maxLength: 12 });

function byKey(list: readonly KubernetesObject[]): Map<string, KubernetesObject> {
  return new Map(list.map((object) => [objectKey(object), object]));
}

test("the changes turn the old objects into the new ones, and nothing is changed in vain", () => {
  fc.assert(
    fc.property(objects, objects, fc.nat(), (before, others, n) => {
      const after = [...before.slice(n % 5).map((object) => structuredClone(object)), ...others];
      const wanted = byKey([...after].reverse());
      const state = byKey(before);
      for (const { key, object } of diffObjects(before, after)) {
        if (object === undefined) assert.ok(state.delete(key), "deletes what was there");
        else {
          assert.notDeepEqual(state.get(key), object);
          state.set(key, object);
        }
      }
      assert.deepEqual(state, wanted);
    }),
  );
});

test("the order of the inputs does not change the order of the changes", () => {
  fc.assert(
    fc.property(objects, objects, (before, after) => {
      assert.deepEqual(
        diffObjects([...before].reverse(), [...after].reverse()),
        diffObjects(before, after),
      );
    }),
  );
});

test("deletions come first, pods before namespaces; additions namespaces before pods", () => {
  const of = (kind: string, name: string) =>
    ({ apiVersion: "v1", kind, metadata: { name } }) as KubernetesObject;
  const before = [of("Namespace", "a"), of("Pod", "a")];
  const after = [of("Pod", "b"), of("Namespace", "b")];
  assert.deepEqual(
    diffObjects(before, after).map(({ key, object }) => [key, object !== undefined]),
    [
      ["Pod//a", false],
      ["Namespace//a", false],
      ["Namespace//b", true],
      ["Pod//b", true],
    ],
  );
});
