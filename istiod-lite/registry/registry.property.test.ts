import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type KubernetesObject, objectKey } from "#common/kubernetes/objects.ts";
import { TYPE_URLS } from "#common/xds/type-urls.ts";
import { Registry } from "./registry.ts";
import { anyMeshObject, history } from "./registry-arbitraries.ts";
import { present } from "./registry-fixtures.ts";
import { DEFAULT_REGISTRY_OPTIONS } from "./registry-options.ts";
import type { ObjectStatus, RegistryUpdate } from "./registry-update.ts";

function snapshot(registry: Registry): readonly string[] {
  const resources = TYPE_URLS.flatMap((type) => [...registry.resources.all(type)]);
  return resources
    .map(({ typeUrl, name, version, aliases, scope, value }) =>
      JSON.stringify([typeUrl, name, version, aliases, scope, Buffer.from(value).toString("hex")]),
    )
    .sort();
}

/** What was said last of each object; a status that says nothing is none. */
function hear(said: Map<string, string>, statuses: readonly ObjectStatus[]): void {
  for (const { kind, namespace, name, ...status } of statuses) {
    const key = `${kind}/${namespace}/${name}`;
    if (status.conditions.length + status.warnings.length === 0) said.delete(key);
    else said.set(key, JSON.stringify(status));
  }
}

describe("an incremental registry", () => {
  it("publishes after any history what a fresh one derives from the final objects", () => {
    fc.assert(
      fc.property(history, (batches) => {
        const registry = new Registry(DEFAULT_REGISTRY_OPTIONS);
        const objects = new Map<string, KubernetesObject>();
        const said = new Map<string, string>();
        for (const batch of batches) {
          const { problems, statuses } = registry.apply(batch);
          assert.deepEqual(problems, []);
          for (const each of batch) {
            if (each.object === undefined) objects.delete(each.key);
            if (each.object === undefined) said.delete(each.key);
            else objects.set(objectKey(each.object), each.object);
          }
          hear(said, statuses);
        }
        const fresh = new Registry(DEFAULT_REGISTRY_OPTIONS);
        const saidNow = new Map<string, string>();
        hear(saidNow, fresh.apply(present(...objects.values())).statuses);
        assert.deepEqual(snapshot(registry), snapshot(fresh));
        assert.deepEqual([...said].sort(), [...saidNow].sort());
      }),
      { numRuns: 500 },
    );
  });

  it("is the same whatever the order in which objects are first seen", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(anyMeshObject, { selector: objectKey, maxLength: 20 }),
        (objects) => {
          const one = new Registry(DEFAULT_REGISTRY_OPTIONS);
          const other = new Registry(DEFAULT_REGISTRY_OPTIONS);
          one.apply(present(...objects));
          for (const each of [...objects].reverse()) other.apply(present(each));
          assert.deepEqual(snapshot(one), snapshot(other));
        },
      ),
      { numRuns: 200 },
    );
  });

  it("reports updates that, replayed, give exactly what is published", () => {
    fc.assert(
      fc.property(history, (batches) => {
        const registry = new Registry(DEFAULT_REGISTRY_OPTIONS);
        const replayed = new Map<string, string>();
        for (const batch of batches) replay(replayed, registry.apply(batch));
        const published = TYPE_URLS.flatMap((type) => [...registry.resources.all(type)]);
        assert.deepEqual(
          new Map([...replayed].sort()),
          new Map(
            published.map((each) => [`${each.typeUrl} ${each.name}`, each.version] as const).sort(),
          ),
        );
      }),
      { numRuns: 200 },
    );
  });

  it("reports nothing when the same objects are delivered again", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(anyMeshObject, { selector: objectKey, maxLength: 20 }),
        (objects) => {
          const registry = new Registry(DEFAULT_REGISTRY_OPTIONS);
          registry.apply(present(...objects));
          const again = registry.apply(present(...objects));
          assert.deepEqual([again.changed, again.removed], [[], []]);
        },
      ),
      { numRuns: 100 },
    );
  });

  it("says the same again when what it said is written, and publishes nothing", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(anyMeshObject, { selector: objectKey, maxLength: 20 }),
        (objects) => {
          const registry = new Registry(DEFAULT_REGISTRY_OPTIONS);
          const { statuses } = registry.apply(present(...objects));
          const written = objects.map((object) => withStatus(object, statuses));
          const again = registry.apply(present(...written));
          assert.deepEqual([again.changed, again.removed], [[], []]);
          assert.deepEqual(again.statuses.map(addressesOf), statuses.map(addressesOf));
          const restarted = new Registry(DEFAULT_REGISTRY_OPTIONS);
          restarted.apply(present(...[...written].reverse()));
          assert.deepEqual(snapshot(restarted), snapshot(registry));
        },
      ),
      { numRuns: 200 },
    );
  });
});

/** The object as it comes back from whoever wrote its status. */
function withStatus(object: KubernetesObject, statuses: readonly ObjectStatus[]): KubernetesObject {
  const key = objectKey(object);
  const said = statuses.find((status) => objectKey({ ...status, metadata: status }) === key);
  if (said === undefined || object.kind !== "ServiceEntry") return object;
  const { conditions, addresses } = said;
  return { ...object, status: { conditions, ...(addresses && { addresses }) } };
}

function addressesOf({ kind, namespace, name, addresses = [] }: ObjectStatus): unknown {
  return [kind, namespace, name, addresses];
}

function replay(state: Map<string, string>, update: RegistryUpdate): void {
  for (const { typeUrl, name } of update.removed) state.delete(`${typeUrl} ${name}`);
  for (const { typeUrl, name, version } of update.changed) {
    state.set(`${typeUrl} ${name}`, version);
  }
}
