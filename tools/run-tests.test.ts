/** The runner must never call a run good in which a test failed, hung or did not happen. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";

const GOOD = 'import { test } from "node:test";\ntest("holds", () => {});\n';
const SKIPPING = 'import { test } from "node:test";\ntest("left", (t) => t.skip());\n';
const BAD =
  'import { test } from "node:test";\ntest("breaks", () => { throw new Error("no"); });\n';

/** A project of its own, with the runner and these files. */
function projectOf(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "ambient-mesh-runner-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const written = { "package.json": '{"type":"module"}', ...files };
  for (const [path, text] of Object.entries(written)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  for (const name of ["run-tests.ts", "system-check.ts", "system-tools.txt"]) {
    cpSync(join(import.meta.dirname, name), join(folder, "tools", name));
  }
  return folder;
}

function runTests(folder: string, args: readonly string[] = [], more: NodeJS.ProcessEnv = {}) {
  const { NODE_TEST_CONTEXT: _, REQUIRE_ROOT: __, ...env } = process.env;
  const command = [join(folder, "tools/run-tests.ts"), ...args];
  const options = { encoding: "utf8", env: { ...env, ...more } } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, command, options);
  return { status, output: stdout + stderr, lastLine: stdout.trimEnd().split("\n").at(-1) };
}

test("a good run ends with its numbers and 0", (t) => {
  const { status, lastLine } = runTests(projectOf(t, { "a/a.test.ts": GOOD }));
  assert.deepEqual([status, lastLine], [0, "1 passed, 0 failed, 0 skipped"]);
});

test("a failing test and a crashing file each make a bad run", (t) => {
  const files = { "a.test.ts": GOOD, "b.test.ts": BAD, "c.test.ts": "process.exit(7);\n" };
  const { status, lastLine } = runTests(projectOf(t, files));
  assert.deepEqual([status, lastLine], [1, "1 passed, 2 failed, 0 skipped"]);
});

test("parts of paths choose the files, and none is an error", (t) => {
  const folder = projectOf(t, { "x/good.test.ts": GOOD, "y/bad.test.ts": BAD });
  assert.equal(runTests(folder, ["x/"]).status, 0);
  const none = runTests(folder, ["z/"]);
  assert.equal(none.status, 2);
  assert.match(none.output, /no test file has z\/ in its path/);
  const unknown = runTests(folder, ["--help"]);
  assert.equal(unknown.status, 2);
  assert.match(unknown.output, /^usage: npm test -- \[PART-OF-A-PATH/);
});

test("dependencies' tests are not ours", (t) => {
  const files = { "a.test.ts": GOOD, "node_modules/b/b.test.ts": BAD, ".cache/c.test.ts": BAD };
  assert.equal(runTests(projectOf(t, files)).status, 0);
});

test("namespaced tests that cannot run are told, or are a failure where they have to", (t) => {
  const files = { "a.test.ts": GOOD, "b.root.test.ts": BAD, "test/namespaced/c.test.ts": BAD };
  const folder = projectOf(t, files);
  // An empty PATH takes the tools away even from root.
  const without = runTests(folder, [], { PATH: "" });
  assert.equal(without.status, 0);
  assert.match(without.output, /^Leaving out 2 files of namespaced tests: /m);
  const required = runTests(folder, [], { PATH: "", REQUIRE_ROOT: "1" });
  assert.notEqual(required.status, 0);
  assert.match(required.output, /^The namespaced tests cannot run: /m);
  assert.equal(runTests(folder, ["--unit"], { PATH: "", REQUIRE_ROOT: "1" }).status, 0);
});

test("a skipped test is a failure where nothing may be skipped", (t) => {
  const folder = projectOf(t, { "a.test.ts": GOOD, "b.test.ts": SKIPPING });
  assert.equal(runTests(folder).status, 0);
  const required = runTests(folder, [], { REQUIRE_ROOT: "1" });
  assert.deepEqual([required.status, required.lastLine], [1, "1 passed, 0 failed, 1 skipped"]);
});

test("interop tests run only when asked for, and then need a program to run against", (t) => {
  const env =
    'import assert from "node:assert";\nassert.match(process.env.INTEROP_ZTUNNEL, /\\/zt$/);\n';
  const files = { "a.test.ts": GOOD, "test/interop/b.test.ts": env + GOOD };
  const folder = projectOf(t, files);
  assert.equal(runTests(folder).lastLine, "1 passed, 0 failed, 0 skipped");
  const named = runTests(folder, ["interop"]);
  assert.equal(named.status, 2);
  assert.match(named.output, /npm run test:interop/);
  const without = runTests(folder, ["--interop"]);
  assert.equal(without.status, 2);
  assert.match(without.output, /Name the program of others: .*--ztunnel PATH/);
  const asked = runTests(folder, ["--interop", "--ztunnel", "zt"]);
  assert.equal(asked.lastLine, "1 passed, 0 failed, 0 skipped", asked.output);
});

test("tests on a real Kubernetes run only when asked for, and not before it is there", (t) => {
  const prepare = "test/kubernetes/harness/tools/prepare.ts";
  const files = {
    "a.test.ts": GOOD,
    "test/kubernetes/b.test.ts":
      GOOD + GOOD.replace('"holds"', '"again"').replace(/^import.*\n/, ""),
    [prepare]: "process.exit(Number(process.env.FAIL ?? 0));\n",
  };
  const folder = projectOf(t, files);
  assert.equal(runTests(folder).lastLine, "1 passed, 0 failed, 0 skipped");
  assert.match(runTests(folder, ["kubernetes/"]).output, /npm run test:kubernetes/);
  const asked = runTests(folder, ["--kubernetes"]);
  assert.equal(asked.lastLine, "2 passed, 0 failed, 0 skipped", asked.output);
  const unprepared = runTests(folder, ["--kubernetes"], { FAIL: "1" });
  assert.equal(unprepared.status, 2);
  assert.match(unprepared.output, /The Kubernetes tests cannot run: see above/);
  assert.match(
    runTests(folder, ["--kubernetes"], { PATH: "" }).output,
    /The Kubernetes tests cannot run: .*(root|is missing)/,
  );
});
