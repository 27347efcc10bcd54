/** Watching a folder: what editors, programs and accidents do to it. */
import assert from "node:assert/strict";
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  keysOf,
  labelsOf,
  namespaceYaml,
  replace,
  startWatch,
  temporaryFolder,
  write,
} from "#common/kubernetes/folder-fixtures.ts";
import { formatProblem } from "#common/kubernetes/format-problem.ts";
import type { LoadResult } from "#common/kubernetes/load-result.ts";

const has = (name: string) => (result: LoadResult) => labelsOf(result, name) !== undefined;
const lacks = (name: string) => (result: LoadResult) => !has(name)(result);
const version = (name: string, v: string) => (result: LoadResult) =>
  JSON.stringify(labelsOf(result, name)) === JSON.stringify({ v });

test("a file renamed into place is there within 150 ms", async (t) => {
  const folder = temporaryFolder(t);
  write(folder, "a.yaml", namespaceYaml("a"));
  const { until, results } = await startWatch(t, folder);
  assert.equal(results.length, 1, "the first content is delivered before watchFolder returns");
  const times: number[] = [];
  for (const v of ["one", "two", "three", "four", "five"]) {
    const started = performance.now();
    replace(folder, "a.yaml", namespaceYaml("a", `{v: ${v}}`));
    await until(version("a", v));
    times.push(performance.now() - started);
  }
  const [, , median = 0] = times.sort((x, y) => x - y);
  assert.ok(median < 150, `took ${median} ms`);
});

test("new, renamed and deleted files and folders are noticed", async (t) => {
  const folder = temporaryFolder(t);
  const { until } = await startWatch(t, folder);
  write(folder, "sub/deep/a.yaml", namespaceYaml("a"));
  await until(has("a"));
  write(folder, "sub/deep/b.yaml", namespaceYaml("b"));
  await until(has("b"));
  renameSync(join(folder, "sub"), join(folder, "other"));
  await until((result) => result.objects[0]?.file.includes("/other/") === true);
  write(folder, "other/deep/c.yaml", namespaceYaml("c"));
  await until(has("c"));
  unlinkSync(join(folder, "other/deep/a.yaml"));
  await until(lacks("a"));
  rmSync(join(folder, "other"), { recursive: true });
  await until((result) => result.objects.length === 0);
});

test("a broken file keeps its last good version, and says so until it is mended", async (t) => {
  const folder = temporaryFolder(t);
  const file = write(folder, "a.yaml", namespaceYaml("a", "{v: good}"));
  write(folder, "b.yaml", namespaceYaml("b"));
  const { until } = await startWatch(t, folder);
  replace(folder, "a.yaml", `${namespaceYaml("a", "{v: better}")}---\nkind: [\n`);
  const broken = await until((result) => result.staleFiles.length > 0);
  assert.deepEqual(broken.staleFiles, [file]);
  assert.ok(version("a", "good")(broken), "the file counts as a whole");
  assert.match(broken.problems.map(formatProblem).join(), /a\.yaml:\d+:\d+: error/);
  replace(folder, "a.yaml", namespaceYaml("a", "{v: better}"));
  const mended = await until(version("a", "better"));
  assert.deepEqual([mended.staleFiles, mended.problems], [[], []]);
});

test("a file broken from its beginning counts with its good objects", async (t) => {
  const folder = temporaryFolder(t);
  write(folder, "a.yaml", `${namespaceYaml("good")}---\n${namespaceYaml("BAD")}`);
  const { watcher } = await startWatch(t, folder);
  assert.deepEqual(keysOf(watcher.result), ["Namespace//good"]);
  assert.deepEqual(watcher.result.staleFiles, []);
});

test("a file that becomes unreadable keeps its last good version", async (t) => {
  const folder = temporaryFolder(t);
  const file = write(folder, "a.yaml", namespaceYaml("a"));
  const { until } = await startWatch(t, folder);
  unlinkSync(file);
  symlinkSync("a.yaml", file);
  const looped = await until((result) => result.staleFiles.length > 0);
  assert.ok(has("a")(looped));
  unlinkSync(file);
  await until(lacks("a"));
});

test("an editor that truncates and writes again never makes the object vanish", async (t) => {
  const folder = temporaryFolder(t);
  const file = write(folder, "a.yaml", namespaceYaml("a", "{v: zero}"));
  const { until, results } = await startWatch(t, folder);
  for (const v of ["one", "two", "three"]) {
    truncateSync(file);
    await sleep(120);
    writeFileSync(file, namespaceYaml("a", `{v: ${v}}`));
    await until(version("a", v));
  }
  assert.ok(results.every(has("a")), "it was there in every result");
});

test("a file that is emptied for good loses its objects soon", async (t) => {
  const folder = temporaryFolder(t);
  const file = write(folder, "a.yaml", namespaceYaml("a"));
  const { until } = await startWatch(t, folder);
  await sleep(50);
  truncateSync(file);
  await until(lacks("a"), 1_500);
});

test("a file written piece by piece is read when its writer has finished", async (t) => {
  const folder = temporaryFolder(t);
  write(folder, "a.yaml", namespaceYaml("a0"));
  const { until, results } = await startWatch(t, folder);
  const file = openSync(join(folder, "a.yaml"), "w");
  for (let i = 0; i < 20; i++) {
    writeSync(file, `${namespaceYaml(`a${i}`)}---\n`);
    await sleep(10);
  }
  closeSync(file);
  await until((result) => result.objects.length === 20);
  const counts = results.map(({ objects }) => objects.length);
  assert.deepEqual(counts, [1, 20], "no half of it was ever in force");
});

test("a file that is written without a pause is read in the end", async (t) => {
  const folder = temporaryFolder(t);
  const { until, watcher } = await startWatch(t, folder);
  const file = write(folder, "a.yaml", namespaceYaml("a"));
  const writer = setInterval(() => appendFileSync(file, "#\n"), 5);
  t.after(() => clearInterval(writer));
  await until(has("a"), 3_000);
  assert.ok(watcher.result.folderReadable);
});

test("rapid edits end with the last one, in far fewer results than edits", async (t) => {
  const folder = temporaryFolder(t);
  write(folder, "a.yaml", namespaceYaml("a"));
  const { until, results } = await startWatch(t, folder);
  for (let i = 0; i < 200; i++) replace(folder, "a.yaml", namespaceYaml("a", `{v: e${i}}`));
  await until(version("a", "e199"));
  assert.ok(results.length < 20, `${results.length} results`);
});

test("an edit that leaves size and timestamps as they were is noticed", async (t) => {
  const folder = temporaryFolder(t);
  const file = write(folder, "a.yaml", namespaceYaml("a", "{v: x}"));
  const stamp = new Date(Date.now() - 10);
  const { until } = await startWatch(t, folder);
  for (const v of ["y", "z"]) {
    writeFileSync(file, namespaceYaml("a", `{v: ${v}}`));
    utimesSync(file, stamp, stamp);
    await until(version("a", v));
  }
});

test("touching a file or writing the same text again changes nothing", async (t) => {
  const folder = temporaryFolder(t);
  write(folder, "a.yaml", namespaceYaml("a"));
  const { results, watcher } = await startWatch(t, folder);
  const [before] = results;
  replace(folder, "a.yaml", namespaceYaml("a"));
  write(folder, "notes.txt", "x");
  write(folder, ".hidden.yaml", namespaceYaml("h"));
  await sleep(150);
  await watcher.refresh();
  assert.deepEqual(results, [before]);
});

test("objects of files that did not change stay the very same values", async (t) => {
  const folder = temporaryFolder(t);
  for (let i = 0; i < 50; i++) write(folder, `n/${i}.yaml`, namespaceYaml(`n${i}`));
  const { results, until } = await startWatch(t, folder);
  replace(folder, "n/7.yaml", namespaceYaml("n7", "{v: new}"));
  const after = await until(version("n7", "new"));
  const before = new Set(results[0]?.objects);
  assert.equal(after.objects.filter((entry) => !before.has(entry)).length, 1);
});

test("a folder that vanishes keeps its content in force until it is back", async (t) => {
  const parent = temporaryFolder(t);
  const folder = join(parent, "objects");
  write(folder, "sub/a.yaml", namespaceYaml("a"));
  const { until } = await startWatch(t, folder);
  renameSync(folder, join(parent, "away"));
  const gone = await until((result) => !result.folderReadable, 1_000);
  assert.ok(has("a")(gone));
  assert.match(gone.problems.map(formatProblem).join(), /its last content stays in force/);
  for (const round of ["b", "c"]) {
    rmSync(folder, { recursive: true, force: true });
    write(folder, `sub/${round}.yaml`, namespaceYaml(round));
    const back = await until(has(round));
    assert.deepEqual([keysOf(back), back.folderReadable], [[`Namespace//${round}`], true]);
    write(folder, "sub/more.yaml", namespaceYaml("more"));
    await until(has("more"), 1_000);
  }
});

test("folders that are removed and made again at once are watched again", async (t) => {
  const folder = temporaryFolder(t);
  write(folder, "sub/a.yaml", namespaceYaml("a"));
  const { until } = await startWatch(t, folder);
  for (let i = 0; i < 8; i++) {
    rmSync(join(folder, "sub"), { recursive: true });
    write(folder, "sub/a.yaml", namespaceYaml("a", `{v: made${i}}`));
    await until(version("a", `made${i}`), 1_000);
    write(folder, "sub/a.yaml", namespaceYaml("a", `{v: edited${i}}`));
    await until(version("a", `edited${i}`), 1_000);
  }
});

test("edits of equal size in the same tick of the clock are told apart", async (t) => {
  const folder = temporaryFolder(t);
  const { watcher } = await startWatch(t, folder);
  for (let i = 0; i < 200; i++) {
    const v = `e${i % 10}`;
    write(folder, "a.yaml", namespaceYaml("a", `{v: ${v}}`));
    assert.ok(version("a", v)(await watcher.refresh()));
  }
});

test("a folder that does not exist yet is waited for", async (t) => {
  const folder = join(temporaryFolder(t), "later");
  const { until, watcher } = await startWatch(t, folder);
  assert.equal(watcher.result.folderReadable, false);
  mkdirSync(folder);
  write(folder, "a.yaml", namespaceYaml("a"));
  await until(has("a"));
});

test("a folder behind a link is followed to where the link is turned", async (t) => {
  const parent = temporaryFolder(t);
  write(parent, "one/a.yaml", namespaceYaml("a"));
  write(parent, "two/b.yaml", namespaceYaml("b"));
  symlinkSync("one", join(parent, "current"));
  const { until } = await startWatch(t, join(parent, "current"));
  symlinkSync("two", join(parent, "next"));
  renameSync(join(parent, "next"), join(parent, "current"));
  const turned = await until(has("b"));
  assert.deepEqual(keysOf(turned), ["Namespace//b"]);
  write(parent, "two/c.yaml", namespaceYaml("c"));
  await until(has("c"), 1_000);
});

test("a change that comes with no event at all is found by looking now and then", async (t) => {
  const folder = temporaryFolder(t);
  const outside = temporaryFolder(t);
  const target = write(outside, "a.yaml", namespaceYaml("a"));
  symlinkSync(target, join(folder, "a.yaml"));
  const { until } = await startWatch(t, folder);
  writeFileSync(target, namespaceYaml("a", "{v: new}"));
  await until(version("a", "new"), 6_000);
});

test("refresh sees what was written the moment before", async (t) => {
  const folder = temporaryFolder(t);
  const { watcher } = await startWatch(t, folder);
  for (let i = 0; i < 5; i++) {
    write(folder, "a.yaml", namespaceYaml("a", `{v: r${i}}`));
    assert.ok(version("a", `r${i}`)(await watcher.refresh()));
  }
});

test("nothing is delivered after close, and the process can end", async (t) => {
  const folder = temporaryFolder(t);
  const { watcher, results } = await startWatch(t, folder);
  write(folder, "a.yaml", namespaceYaml("a"));
  await watcher.close();
  write(folder, "b.yaml", namespaceYaml("b"));
  await sleep(100);
  assert.equal(results.length, 1);
});
