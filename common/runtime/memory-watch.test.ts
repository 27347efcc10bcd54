import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { MemoryWatch, readMemoryUse } from "./memory-watch.ts";

async function cgroup(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "cgroup-"));
  t.after(() => rm(dir, { recursive: true }));
  await fill(dir, files);
  return dir;
}

async function fill(dir: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text);
}

test("memory is read of either version, without the cache that can be given back", async (t) => {
  const stat = "anon 1\ninactive_file 30\ntotal_inactive_file 20\n";
  const v2 = { "memory.max": "1000\n", "memory.current": "130\n", "memory.stat": stat };
  assert.deepEqual(await readMemoryUse(await cgroup(t, v2)), { usedBytes: 100, limitBytes: 1000 });
  const v1 = {
    "memory.limit_in_bytes": "1000\n",
    "memory.usage_in_bytes": "120\n",
    "memory.stat": stat,
  };
  assert.deepEqual(await readMemoryUse(await cgroup(t, v1)), { usedBytes: 100, limitBytes: 1000 });
});

test("where there is no limit, there is nothing to watch", async (t) => {
  const none = { "memory.max": "max\n", "memory.current": "5\n", "memory.stat": "" };
  assert.equal(await readMemoryUse(await cgroup(t, none)), undefined);
  assert.equal(await readMemoryUse(await cgroup(t, {})), undefined);
});

test("memory is short near the limit, until there is clearly enough again", async (t) => {
  const file = (current: number) => ({ "memory.current": `${current}\n` });
  const dir = await cgroup(t, { "memory.max": "100\n", "memory.stat": "", ...file(50) });
  const stop = new AbortController();
  const changes: boolean[] = [];
  let heard = Promise.withResolvers<void>();
  const watch = new MemoryWatch({
    dir,
    onChange: (short) => {
      changes.push(short);
      heard.resolve();
    },
  });
  const running = watch.run(stop.signal);
  await fill(dir, file(91));
  await heard.promise;
  assert.equal(watch.isShort, true);
  heard = Promise.withResolvers();
  await fill(dir, file(88));
  await fill(dir, file(70));
  await heard.promise;
  assert.deepEqual(changes, [true, false]);
  stop.abort();
  await running;
});
