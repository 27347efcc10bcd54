/** Watching a folder of whole objects: each change is told, and only that. */
import assert from "node:assert/strict";
import { rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { replace, temporaryFolder, write } from "#common/kubernetes/folder-fixtures.ts";
import { type FolderChange, watchFolderChanges } from "#common/kubernetes/watch-folder.ts";

const json = (name: string, v = "1"): string =>
  JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels: { v } } });

async function start(t: TestContext, folder: string) {
  const changes: FolderChange[] = [];
  const watcher = await watchFolderChanges(folder, (change) => void changes.push(change), {
    debounceMs: 5,
  });
  t.after(() => watcher.close());
  const until = async (count: number) => {
    const deadline = performance.now() + 20_000;
    while (changes.length < count) {
      assert.ok(performance.now() < deadline, JSON.stringify(changes));
      await sleep(2);
    }
    return [...(changes[count - 1]?.changed ?? [])].map(([key, object]) => [
      key,
      object?.metadata.labels?.v,
    ]);
  };
  return { changes, until };
}

test("the first change is everything, a later one the objects that differ", async (t) => {
  const folder = temporaryFolder(t);
  for (const name of ["a", "b", "c"]) write(folder, `${name}.json`, json(name));
  const { until, changes } = await start(t, folder);
  assert.equal((await until(1)).length, 3);
  replace(folder, "b.json", json("b", "2"));
  assert.deepEqual(await until(2), [["Namespace//b", "2"]]);
  rmSync(join(folder, "c.json"));
  assert.deepEqual(await until(3), [["Namespace//c", undefined]]);
  replace(folder, "a.json", json("a"));
  replace(folder, "b.json", json("b", "3"));
  assert.deepEqual(await until(4), [["Namespace//b", "3"]]);
  assert.equal(changes.length, 4);
});

test("of an object that two files have the second counts once the first is gone", async (t) => {
  const folder = temporaryFolder(t);
  write(folder, "a.json", json("a"));
  write(folder, "z.json", json("a"));
  const { until, changes } = await start(t, folder);
  assert.equal(changes[0]?.problems.length, 1, "there are two of it");
  rmSync(join(folder, "a.json"));
  assert.deepEqual(await until(2), [["Namespace//a", "1"]]);
  assert.deepEqual(changes[1]?.problems, []);
});

test("a file that is emptied and written again in place is taken once", async (t) => {
  const folder = temporaryFolder(t);
  write(folder, "a.json", json("a"));
  const { until, changes } = await start(t, folder);
  const text = json("a", "2");
  truncateSync(join(folder, "a.json"));
  writeFileSync(join(folder, "a.json"), text.slice(0, 40), { flag: "a" });
  writeFileSync(join(folder, "a.json"), text.slice(40), { flag: "a" });
  assert.deepEqual(await until(2), [["Namespace//a", "2"]]);
  assert.deepEqual(
    changes.flatMap(({ problems }) => problems),
    [],
  );
});
