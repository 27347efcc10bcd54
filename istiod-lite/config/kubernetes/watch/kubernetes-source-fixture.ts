/** A source that reads from a small API server, and a view of what it delivers, for tests. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { KubernetesObject, ObjectChange } from "#common/kubernetes/objects.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import { ApiServerFixture } from "#istiod-lite/config/kubernetes/watch/api-server-fixture.ts";
import { KubernetesSource } from "#istiod-lite/config/kubernetes/watch/kubernetes-source.ts";
import type { RefusedObject } from "#istiod-lite/config/kubernetes/watch/object-problems.ts";
import { shop } from "#istiod-lite/config/source-fixture.ts";

const DEADLINE_MS = 20_000;

/** A source that reads from the server, and all that it says. */
export function watchSource(t: TestContext, server: ApiServerFixture) {
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  const logger = createLogger({ level: "debug", format: "text", write });
  const refused: RefusedObject[] = [];
  const source = new KubernetesSource({
    client: server.client(t),
    logger,
    onRefused: (object) => void refused.push(object),
  });
  const batches: (readonly ObjectChange[])[] = [];
  const state = new Map<string, KubernetesObject>();
  const started = source.start((changes) => {
    batches.push(changes);
    for (const { key, object } of changes) {
      if (object === undefined) assert.ok(state.delete(key), `${key} was there`);
      else state.set(key, object);
    }
  });
  t.after(() => source.close());
  const until = async (wanted: () => boolean, what = "reached"): Promise<void> => {
    const began = performance.now();
    while (!wanted()) {
      const late = performance.now() - began > DEADLINE_MS;
      assert.ok(!late, `not ${what}: ${[...state.keys()].join(" ")}\n${lines.join("")}`);
      await sleep(2);
    }
  };
  const said = (pattern: RegExp): number => lines.filter((line) => pattern.test(line)).length;
  return { source, started, batches, state, until, lines, said, refused };
}

/** A server with every kind, these objects in it, and a source that has read them. */
export async function startAll(t: TestContext, objects: readonly KubernetesObject[] = []) {
  const server = await ApiServerFixture.start(t);
  server.defineAll();
  for (const object of [shop, ...objects]) server.put(object);
  const view = watchSource(t, server);
  await view.started;
  return { server, ...view };
}
