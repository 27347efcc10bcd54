/** The set-up must work from nothing, do nothing the second time, and say what keeps it from it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";

/** Stands in for npm: notes how it was called, and brings the Node that runs this test. */
const FAKE_NPM = `#!/bin/sh
echo "$@" >>npm-calls
mkdir -p node_modules/.bin
ln -sf '${process.execPath}' node_modules/.bin/node
`;

interface Checkout {
  readonly folder: string;
  /** Puts a program in front of the machine's own. */
  readonly fake: (name: string, text: string) => void;
  readonly bootstrap: (
    args: readonly string[],
    more?: NodeJS.ProcessEnv,
  ) => { status: number | null; stdout: string; stderr: string };
  /** How often npm was called, and with what. */
  readonly npmCalls: () => string[];
}

/** A fresh clone as far as the set-up is concerned. */
function freshCheckout(t: TestContext): Checkout {
  const folder = mkdtempSync(join(tmpdir(), "ambient-mesh-bootstrap-"));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "tools"));
  mkdirSync(join(folder, "fake"));
  cpSync(join(import.meta.dirname, "bootstrap.sh"), join(folder, "tools/bootstrap.sh"));
  writeFileSync(join(folder, "tools/system-tools.txt"), "sh dash runs scripts\n");
  writeFileSync(join(folder, "tools/run-tests.ts"), "console.log('tests', process.argv[2]);\n");
  writeFileSync(join(folder, "package-lock.json"), "{}\n");
  const fake = (name: string, text: string) => {
    writeFileSync(join(folder, "fake", name), text);
    chmodSync(join(folder, "fake", name), 0o755);
  };
  fake("npm", FAKE_NPM);
  const bootstrap: Checkout["bootstrap"] = (args, more = {}) => {
    const { REQUIRE_ROOT: _, NODE_COMPILE_CACHE: __, ...inherited } = process.env;
    const env = { ...inherited, PATH: `${folder}/fake:/usr/bin:/bin`, ...more };
    const command = [join(folder, "tools/bootstrap.sh"), ...args];
    return spawnSync("sh", command, { cwd: tmpdir(), encoding: "utf8", env });
  };
  const npmCalls = () => readFileSync(join(folder, "npm-calls"), "utf8").trim().split("\n");
  return { folder, fake, bootstrap, npmCalls };
}

const PRINT_SELF = "console.log(process.version, process.cwd(), process.argv[1])";

test("the command runs under our Node, where it was called, with its arguments", (t) => {
  const { bootstrap } = freshCheckout(t);
  const { stdout } = bootstrap(["node", "node", "-e", PRINT_SELF, "one argument"]);
  assert.equal(stdout, `${process.version} ${tmpdir()} one argument\n`);
});

test("packages are installed once, and again when the lock file changed", (t) => {
  const { folder, bootstrap, npmCalls } = freshCheckout(t);
  assert.match(bootstrap(["node", "true"]).stderr, /installing npm packages/);
  assert.equal(bootstrap(["node", "true"]).stderr, "");
  assert.equal(npmCalls().length, 1);
  assert.match(npmCalls()[0] ?? "", /^ci --include=dev --include=optional --ignore-scripts/);
  writeFileSync(join(folder, "package-lock.json"), '{"changed":true}\n');
  bootstrap(["node", "true"]);
  assert.equal(npmCalls().length, 2);
});

test("a failed installation says why, and is tried again the next time", (t) => {
  const { fake, bootstrap } = freshCheckout(t);
  fake("npm", "#!/bin/sh\necho 'npm error the registry is away' >&2\nexit 1\n");
  const failed = bootstrap(["node", "echo", "ran"]);
  assert.deepEqual([failed.status, failed.stdout], [1, ""]);
  assert.match(failed.stderr, /the registry is away\n.*npm ci failed, as shown above/);
  fake("npm", FAKE_NPM);
  assert.equal(bootstrap(["node", "echo", "ran"]).stdout, "ran\n");
});

test("a Node that does not run here is told with what is needed", (t) => {
  const { fake, bootstrap } = freshCheckout(t);
  fake("npm", "#!/bin/sh\nmkdir -p node_modules/.bin\n");
  fake("node", "#!/bin/sh\necho v20.20.2\n");
  const { status, stderr } = bootstrap(["node", "true"]);
  assert.equal(status, 1);
  assert.match(stderr, /needs Node 26, .* put Node 26 first on the PATH \(found: v20.20.2\)/);
});

test("on another system the unit tests run instead of what needs namespaces", (t) => {
  const { fake, bootstrap } = freshCheckout(t);
  fake("uname", "#!/bin/sh\necho Darwin\n");
  const { stdout, stderr } = bootstrap(["root", "echo", "the demo"]);
  assert.equal(stdout, "tests --unit\n");
  assert.match(stderr, /this is Darwin, .*; running the unit tests instead/);
  assert.equal(bootstrap(["system", "echo", "ran"]).stdout, "ran\n");
  assert.equal(bootstrap(["root", "echo", "the demo"], { REQUIRE_ROOT: "1" }).status, 1);
});

test("without root nothing is installed on the system, and one line says so", (t) => {
  const { fake, bootstrap } = freshCheckout(t);
  bootstrap(["node", "true"]);
  fake("id", "#!/bin/sh\necho 1000\n");
  fake("apt-get", "#!/bin/sh\necho called >&2\n");
  const { stdout, stderr } = bootstrap(["root", "echo", "the demo"]);
  assert.equal(stdout, "tests --unit\n");
  assert.match(stderr, /^ambient-mesh: network namespaces and nft rules need root .*\n$/);
});

test("as root missing Debian packages are installed, each with its reason", (t) => {
  const { folder, fake, bootstrap } = freshCheckout(t);
  bootstrap(["node", "true"]);
  writeFileSync(join(folder, "tools/system-tools.txt"), "# a comment\nfrob frobtools frobs\n");
  fake("id", "#!/bin/sh\necho 0\n");
  fake("unshare", "#!/bin/sh\n");
  fake("apt-get", `#!/bin/sh\necho "$@" >>'${folder}/apt-calls'\n`);
  const { stdout, stderr } = bootstrap(["root", "echo", "the demo"]);
  assert.equal(stdout, "the demo\n");
  assert.match(stderr, /missing: frob \(package frobtools\): frobs\n.*installing frobtools/);
  assert.match(readFileSync(join(folder, "apt-calls"), "utf8"), /install -y .*frobtools/);
  fake("apt-get", "#!/bin/sh\necho 'E: no such package' >&2\nexit 100\n");
  const failed = bootstrap(["root", "echo", "the demo"]);
  assert.match(failed.stderr, /E: no such package\n.*apt-get could not install frobtools/);
  assert.equal(failed.stdout, "tests --unit\n");
});

test("meshctl finds its checkout through a symbolic link", (t) => {
  const { folder } = freshCheckout(t);
  cpSync(join(import.meta.dirname, "meshctl"), join(folder, "tools/meshctl"));
  mkdirSync(join(folder, "meshctl"));
  writeFileSync(join(folder, "meshctl/main.ts"), "console.log(process.argv.slice(2));\n");
  symlinkSync(join(folder, "tools/meshctl"), join(folder, "link"));
  const env = { ...process.env, PATH: `${folder}/fake:/usr/bin:/bin` };
  const options = { cwd: tmpdir(), encoding: "utf8", env } as const;
  const { stdout } = spawnSync(join(folder, "link"), ["up", "a folder"], options);
  assert.equal(stdout, "[ 'up', 'a folder' ]\n");
});
