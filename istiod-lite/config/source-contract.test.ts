/** What every source of configuration keeps to: the same tests on a folder and on an API server. */
import assert from "node:assert/strict";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { KubernetesObject, ObjectChange } from "#common/kubernetes/objects.ts";
import { createLogger, type Logger } from "#common/telemetry/logger.ts";
import { createSource } from "#istiod-lite/config/create-source.ts";
import { ApiServerFixture } from "#istiod-lite/config/kubernetes/watch/api-server-fixture.ts";
import { KubernetesSource } from "#istiod-lite/config/kubernetes/watch/kubernetes-source.ts";
import type { ConfigSource } from "#istiod-lite/config/source.ts";
import { pod, policy, SourceFixture, shop } from "#istiod-lite/config/source-fixture.ts";

/** Where objects are written that a source reads. */
interface Store {
  put(object: KubernetesObject): void;
  remove(kind: string, namespace: string, name: string): void;
  /** Nothing can be read until `back`. */
  away(): void;
  back(): Promise<void>;
  source(logger: Logger): ConfigSource;
}

const DEADLINE_MS = 30_000;

async function folderStore(t: TestContext): Promise<Store> {
  const fixture = new SourceFixture(t);
  const [objects, elsewhere] = ["objects", "away"].map((name) => join(fixture.state, name)) as [
    string,
    string,
  ];
  return {
    put: (object) => fixture.publish(object),
    remove: (kind, namespace, name) => fixture.remove(kind, namespace || "_", name),
    away: () => renameSync(objects, elsewhere),
    back: async () => renameSync(elsewhere, objects),
    source: (logger) => createSource(`folder:${objects}`, { logger }).source,
  };
}

async function apiStore(t: TestContext): Promise<Store> {
  const server = await ApiServerFixture.start(t);
  server.remove("Namespace", "", "default");
  server.defineAll();
  return {
    put: (object) => server.put(object),
    remove: (kind, namespace, name) => server.remove(kind, namespace, name),
    away: () => server.close(),
    back: () => server.listen(),
    source: (logger) => new KubernetesSource({ client: server.client(t), logger }),
  };
}

/** Starts a source of the store; `objects` are there from the beginning. */
async function follow(t: TestContext, store: Store, objects: readonly KubernetesObject[]) {
  for (const object of objects) store.put(object);
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  const source = store.source(createLogger({ level: "info", format: "text", write }));
  t.after(() => source.close());
  const batches: (readonly ObjectChange[])[] = [];
  const state = new Map<string, KubernetesObject>();
  await source.start((changes) => {
    batches.push(changes);
    for (const { key, object } of changes) {
      if (object === undefined) assert.ok(state.delete(key), `${key} was there`);
      else state.set(key, object);
    }
  });
  const until = async (wanted: () => boolean): Promise<void> => {
    const began = performance.now();
    while (!wanted()) {
      const isLate = performance.now() - began > DEADLINE_MS;
      assert.ok(!isLate, `not reached: ${[...state.keys()].join(" ")}\n${lines.join("")}`);
      await sleep(2);
    }
  };
  return { source, state, batches, lines, until };
}

const stores = { "a folder": folderStore, "an API server": apiStore };
for (const [name, open] of Object.entries(stores)) {
  describe(`the source of ${name}`, () => {
    test("delivers everything first, in order, then each change", async (t) => {
      const store = await open(t);
      const objects = [pod("a"), shop, policy("p")];
      const { batches, state, until, lines, source } = await follow(t, store, objects);
      const keys = () => batches.map((changes) => changes.map(({ key }) => key));
      const first = ["Namespace//shop", "AuthorizationPolicy/shop/p", "Pod/shop/a"];
      assert.deepEqual(keys(), [first]);
      assert.deepEqual([...state.values()], [shop, policy("p"), pod("a")]);
      store.put(pod("a", "u1", "new"));
      await until(() => batches.length === 2);
      assert.deepEqual(state.get("Pod/shop/a"), pod("a", "u1", "new"));
      store.remove("Pod", "shop", "a");
      await until(() => !state.has("Pod/shop/a"));
      assert.deepEqual(keys(), [first, ["Pod/shop/a"], ["Pod/shop/a"]]);
      assert.equal(source.loss, undefined);
      assert.deepEqual(lines, []);
    });

    test("is silent about what changes nothing", async (t) => {
      const store = await open(t);
      const { batches, state, until } = await follow(t, store, [shop, pod("a")]);
      store.put(pod("a"));
      store.put(policy("p"));
      await until(() => state.has("AuthorizationPolicy/shop/p"));
      assert.deepEqual(
        batches
          .slice(1)
          .flat()
          .map(({ key }) => key),
        ["AuthorizationPolicy/shop/p"],
      );
    });

    test("knows a pod of the same name that came later for another one", async (t) => {
      const store = await open(t);
      const { state, until } = await follow(t, store, [shop, pod("a")]);
      store.remove("Pod", "shop", "a");
      store.put(pod("a", "u2"));
      await until(() => state.get("Pod/shop/a")?.metadata.uid === "u2");
    });

    test("keeps the last good state of an object that is wrong now", async (t) => {
      const store = await open(t);
      const { state, until, lines } = await follow(t, store, [shop, policy("p")]);
      store.put({ ...policy("p"), spec: { ruels: [] } } as unknown as KubernetesObject);
      await until(() => /spec\.ruels/.test(lines.join()));
      store.put(policy("q"));
      await until(() => state.has("AuthorizationPolicy/shop/q"));
      assert.deepEqual(state.get("AuthorizationPolicy/shop/p"), policy("p"));
      assert.equal(lines.filter((line) => line.includes("spec.ruels")).length, 1);
    });

    test("keeps everything while there is nothing to read, and sees what was missed", async (t) => {
      const store = await open(t);
      const objects = [shop, policy("p"), pod("a"), pod("b")];
      const { state, batches, until } = await follow(t, store, objects);
      store.away();
      await sleep(300);
      assert.equal(state.size, 4);
      await store.back();
      store.remove("Pod", "shop", "a");
      store.put(pod("c"));
      await until(() => state.has("Pod/shop/c") && !state.has("Pod/shop/a"));
      const touched = new Set(
        batches
          .slice(1)
          .flat()
          .map(({ key }) => key),
      );
      assert.deepEqual([...touched].sort(), ["Pod/shop/a", "Pod/shop/c"]);
    });

    test("is started once, and silent after it was closed", async (t) => {
      const store = await open(t);
      const { source, batches } = await follow(t, store, [shop]);
      const again = source.start(() => undefined);
      await assert.rejects(again, { code: "SOURCE_STARTED" });
      await source.close();
      store.put(policy("p"));
      await sleep(100);
      assert.equal(batches.length, 1);
    });
  });
}
