/** Loading a folder once, with everything that can lie around in one. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  keysOf,
  namespaceYaml,
  temporaryFolder,
  write,
} from "#common/kubernetes/folder-fixtures.ts";
import { formatProblem } from "#common/kubernetes/format-problem.ts";
import { MAX_FILE_BYTES } from "#common/kubernetes/limits.ts";
import { loadFolder } from "#common/kubernetes/load-folder.ts";

async function load(folder: string): Promise<{ keys: string[]; problems: string[] }> {
  const result = await loadFolder(folder);
  const problems = result.problems.map((problem) =>
    formatProblem({ ...problem, file: problem.file.replace(`${folder}/`, "") }),
  );
  return { keys: keysOf(result), problems };
}

test("YAML and JSON files of all subfolders are read, sorted by path", async (t) => {
  const folder = temporaryFolder(t);
  write(folder, "b.yml", namespaceYaml("b"));
  write(
    folder,
    "a/z.json",
    JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name: "z" } }),
  );
  write(folder, "a.yaml", `${namespaceYaml("a1")}---\n${namespaceYaml("a2")}`);
  const { keys, problems } = await load(folder);
  assert.deepEqual(problems, []);
  assert.deepEqual(keys, ["Namespace//z", "Namespace//a1", "Namespace//a2", "Namespace//b"]);
  const again = await loadFolder(folder);
  assert.deepEqual(again, await loadFolder(folder), "the same folder gives the same result");
  assert.deepEqual(
    again.objects.map(({ file, line }) => `${file.slice(folder.length)}:${line}`),
    ["/a/z.json:1", "/a.yaml:1", "/a.yaml:7", "/b.yml:1"],
  );
});

test("hidden files and what editors leave behind are skipped", async (t) => {
  const folder = temporaryFolder(t);
  for (const name of [
    ".a.yaml",
    ".git/b.yaml",
    "c.yaml~",
    "d.yaml.swp",
    "#e.yaml#",
    "f~/g.yaml",
    "h.txt",
    ".#i.yaml",
  ]) {
    write(folder, name, namespaceYaml("x"));
  }
  assert.deepEqual(await load(folder), { keys: [], problems: [] });
});

test("a missing folder, and a file in its place, are problems and no objects", async (t) => {
  const folder = temporaryFolder(t);
  const missing = await loadFolder(join(folder, "none"));
  assert.equal(missing.folderReadable, false);
  assert.match(
    missing.problems.map(formatProblem).join(),
    /none:1:1: error: does not exist \(create it\)/,
  );
  const file = await loadFolder(write(folder, "a.yaml", namespaceYaml("a")));
  assert.deepEqual([file.folderReadable, file.objects.length], [false, 0]);
  assert.match(file.problems.map(formatProblem).join(), /is no folder/);
});

test("of two objects with one key the first counts; the second is told where it is", async (t) => {
  const folder = temporaryFolder(t);
  write(folder, "a.yaml", namespaceYaml("x", "{from: a}"));
  write(folder, "b.yaml", `# two\n${namespaceYaml("x", "{from: b}")}`);
  const result = await loadFolder(folder);
  assert.deepEqual(
    result.objects.map(({ object }) => object.metadata.labels),
    [{ from: "a" }],
  );
  assert.deepEqual((await load(folder)).problems, [
    `b.yaml:2:1: error: metadata.name: Namespace x exists already, in ${folder}/a.yaml:1 ` +
      "(the first one counts: remove one of the two)",
  ]);
});

test("a namespace that does not exist is warned of once; the built-in ones exist", async (t) => {
  const folder = temporaryFolder(t);
  const account = (name: string, namespace: string) => {
    const metadata = JSON.stringify({ name, namespace });
    return `{apiVersion: v1, kind: ServiceAccount, metadata: ${metadata}}\n---\n`;
  };
  const objects = [
    account("a", "default"),
    account("a", "istio-system"),
    account("a", "kube-system"),
    account("a", "shop"),
    account("b", "shop"),
    account("a", "mine"),
  ];
  write(folder, "a.yaml", objects.join(""));
  write(folder, "b.yaml", namespaceYaml("mine"));
  const { keys, problems } = await load(folder);
  assert.equal(keys.length, 7);
  assert.equal(problems.length, 1);
  assert.match(
    problems[0] ?? "",
    /^a\.yaml:7:1: warning: metadata\.namespace: there is no Namespace shop/,
  );
});

test("a kind that nothing reads is warned of once in the whole folder", async (t) => {
  const folder = temporaryFolder(t);
  const secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n";
  write(folder, "a.yaml", `${secret}---\n${secret}`);
  write(folder, "b.yaml", secret);
  assert.deepEqual(await load(folder), {
    keys: [],
    problems: ["a.yaml:2:7: warning: kind: ignored: kind Secret"],
  });
});

test("problems of several files are reported together; the good objects count", async (t) => {
  const folder = temporaryFolder(t);
  write(
    folder,
    "a.yaml",
    `${namespaceYaml("UP")}---\n${namespaceYaml("ok")}---\n${namespaceYaml("a_b")}`,
  );
  write(folder, "b.yaml", "a: [\n");
  const { keys, problems } = await load(folder);
  assert.deepEqual(keys, ["Namespace//ok"]);
  assert.deepEqual(
    problems.map((line) => line.split(": error")[0]),
    ["a.yaml:4:9", "a.yaml:16:9", "b.yaml:2:1"],
  );
});

test("links are followed to files and folders, and every kind of loop ends", async (t) => {
  const folder = temporaryFolder(t);
  const outside = temporaryFolder(t);
  write(outside, "deep/x.yaml", namespaceYaml("x"));
  symlinkSync(join(outside, "deep"), join(folder, "linked"));
  symlinkSync(join(outside, "deep/x.yaml"), join(outside, "y.yaml"));
  mkdirSync(join(folder, "sub"));
  symlinkSync("..", join(folder, "sub/up"));
  symlinkSync("self.yaml", join(folder, "self.yaml"));
  symlinkSync("nowhere", join(folder, "dangling.yaml"));
  const { keys, problems } = await load(folder);
  assert.deepEqual(keys, ["Namespace//x"]);
  assert.deepEqual(problems, [
    "dangling.yaml:1:1: error: is a symbolic link to nothing",
    "self.yaml:1:1: error: is a symbolic link to itself",
    "sub/up:1:1: error: leads back to a folder above it: not entered",
  ]);
});

test("what is no file, no text or too large is reported and not read", {
  timeout: 10_000,
}, async (t) => {
  const folder = temporaryFolder(t);
  execFileSync("mkfifo", [join(folder, "fifo.yaml")]);
  write(folder, "big.yaml", `# ${"x".repeat(MAX_FILE_BYTES)}`);
  write(folder, "utf16.yaml", "\u00e9");
  execFileSync("sh", ["-c", 'printf "\\377\\376a\\0" > "$1"', "sh", join(folder, "utf16.yaml")]);
  write(folder, "bom.yaml", `\ufeff${namespaceYaml("bom")}`);
  const { keys, problems } = await load(folder);
  assert.deepEqual(keys, ["Namespace//bom"]);
  assert.deepEqual(problems, [
    "big.yaml:1:1: error: is larger than 1048576 bytes",
    "fifo.yaml:1:1: error: is no regular file",
    "utf16.yaml:1:1: error: is not UTF-8 text",
  ]);
});

test("folders nested without end are entered to a bounded depth", async (t) => {
  const folder = temporaryFolder(t);
  write(folder, `${"d/".repeat(15)}ok.yaml`, namespaceYaml("ok"));
  write(folder, `${"d/".repeat(30)}deep.yaml`, namespaceYaml("deep"));
  const { keys, problems } = await load(folder);
  assert.deepEqual(keys, ["Namespace//ok"]);
  assert.match(problems.join(), /nested deeper than 16 folders/);
});

test("a file and a folder without permission are reported, the rest is read", async (t) => {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o755);
  chmodSync(write(folder, "secret.yaml", namespaceYaml("secret")), 0);
  write(folder, "ok.yaml", namespaceYaml("ok"));
  write(folder, "closed/x.yaml", namespaceYaml("x"));
  chmodSync(join(folder, "closed"), 0);
  const output = loadAsNobody(folder);
  chmodSync(join(folder, "closed"), 0o755);
  assert.deepEqual(output.keys, ["Namespace//ok"]);
  assert.deepEqual(output.problems, [
    `${folder}/closed: may not be read: permission denied`,
    `${folder}/secret.yaml: may not be read: permission denied`,
  ]);
});

/** Root may read everything, so the loader runs as somebody else here. */
function loadAsNobody(folder: string): { keys: string[]; problems: string[] } {
  const script = `
    const { loadFolder } = await import(${JSON.stringify(import.meta.resolve("./load-folder.ts"))});
    if (process.getuid() === 0) {
      process.setgroups([]);
      process.setgid(65534);
      process.setuid(65534);
    }
    const { objects, problems } = await loadFolder(${JSON.stringify(folder)});
    console.log(JSON.stringify({
      keys: objects.map(({ object }) => object.kind + "//" + object.metadata.name),
      problems: problems.map(({ file, message }) => file + ": " + message),
    }));`;
  const run = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    encoding: "utf8",
  });
  assert.equal(run.status, 0, run.stderr);
  return JSON.parse(run.stdout);
}

test("an empty folder is readable and holds nothing", async (t) => {
  const folder = temporaryFolder(t);
  const { objects, problems, folderReadable } = await loadFolder(folder);
  assert.deepEqual([objects, problems, folderReadable], [[], [], true]);
  rmSync(folder, { recursive: true });
});

test("objects with all the fields that a cluster fills in pass without a word", async () => {
  const { keys, problems } = await load(join(import.meta.dirname, "testdata"));
  assert.equal(keys.length, 8);
  assert.deepEqual(problems, []);
});
