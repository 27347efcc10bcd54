/** `meshctl up` as people run it: what it prints, what edits do, and that nothing is left of it. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { findClusters } from "#meshctl/local/find-clusters.ts";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const PODS = (replicas: number) => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: sleeper}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: sleeper}}
  template:
    metadata: {labels: {app: sleeper}}
    spec: {containers: [{name: c, image: busybox, command: [sleep, infinity]}]}
`;
/** Five times what it takes on an idle machine. */
const START_TIMEOUT_MS = 15_000;

/** Another run of these tests on this machine has other clusters. */
const named = (name: string): string => `${name}-${process.pid}`;
const folder = mkdtempSync(join(tmpdir(), "up-test-"));
writeFileSync(join(folder, "pods.yaml"), PODS(2));
const running = new Set<ChildProcess>();
after(() => {
  for (const child of running) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

interface Up {
  readonly child: ChildProcess;
  /** Waits for a line that matches, among those already printed too. */
  printed(pattern: RegExp, timeoutMs?: number): Promise<string>;
  readonly exited: Promise<number>;
}

function up(name: string, ...more: string[]): Up {
  const argv = [MAIN, "up", folder, "--name", name, "--no-mesh", ...more];
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const exited = new Promise<number>((resolve) => {
    child.on("exit", (code) => resolve(code ?? -1));
  });
  return {
    child,
    exited,
    printed: async (pattern, timeoutMs = START_TIMEOUT_MS) => {
      const deadline = Date.now() + timeoutMs;
      while (Date.now() < deadline) {
        const line = output.split("\n").find((candidate) => pattern.test(candidate));
        if (line !== undefined) return line;
        await sleep(10);
      }
      assert.fail(`no line matches ${pattern}:\n${output}`);
    },
  };
}

function meshctl(...argv: string[]): { code: number | null; stdout: string; stderr: string } {
  const result = spawnSync(process.execPath, [MAIN, ...argv], { encoding: "utf8" });
  return { code: result.status, stdout: result.stdout, stderr: result.stderr };
}

/** What a cluster could leave on the machine; a Kubernetes of another run is not of it. */
function traces() {
  const entries = (dir: string) => readdirSync(dir).sort();
  return {
    links: readdirSync("/sys/class/net").filter((name) => !name.startsWith("kube-")),
    rules: spawnSync("nft", ["list", "ruleset"], { encoding: "utf8" }).stdout,
    mounts: readFileSync("/proc/self/mountinfo", "utf8"),
    run: entries("/run"),
    // The folder that the clusters follow is the test's own.
    tmp: entries(tmpdir()).filter((name) => name.endsWith(`-${process.pid}`)),
  };
}

/** Every process in the process namespace of a cluster. */
function processesOf(initPid: number): string[] {
  const namespace = readlinkSync(`/proc/${initPid}/ns/pid_for_children`);
  return allProcesses().filter((pid) => namespaceOf(pid) === namespace);
}

function allProcesses(): string[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name));
}

/**
 * Undefined for a process that has ended, reaped or not: an orphan waits for the machine's own
 * init.
 */
function namespaceOf(pid: string): string | undefined {
  try {
    if (/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))) return undefined;
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined; // It ended between the two looks.
  }
}

async function initOf(name: string): Promise<number> {
  const cluster = (await findClusters()).find((candidate) => candidate.settings.name === name);
  assert.ok(cluster, `cluster ${name} runs`);
  return cluster.initPid;
}

/** Everything of the cluster is gone within the second that the project promises. */
async function assertGone(initPid: number, pids: readonly string[], before: object): Promise<void> {
  assert.ok(pids.length >= 5, "there was something to take away");
  const deadline = Date.now() + 1000;
  const left = () => pids.filter((pid) => namespaceOf(pid) !== undefined);
  while (left().length > 0 && Date.now() < deadline) await sleep(10);
  assert.deepEqual(left(), []);
  assert.equal(namespaceOf(String(initPid)), undefined);
  assert.deepEqual(traces(), before);
}

test("kill -9 of meshctl up leaves nothing behind", async () => {
  const before = traces();
  const { child, printed } = up(named("killed"));
  await printed(/2 of 2 pods ready/);
  const initPid = await initOf(named("killed"));
  const pids = processesOf(initPid);
  child.kill("SIGKILL");
  await assertGone(initPid, pids, before);
});

test("kill -9 of meshctl up leaves nothing behind even if the cluster itself is stuck", async () => {
  const before = traces();
  const { child, printed } = up(named("stuck"));
  await printed(/2 of 2 pods ready/);
  const initPid = await initOf(named("stuck"));
  const pids = processesOf(initPid);
  for (const pid of pids) process.kill(Number(pid), "SIGSTOP");
  child.kill("SIGKILL");
  await assertGone(initPid, pids, before);
});

test("kill -9 while it starts leaves nothing behind", async () => {
  const before = traces();
  const { child, printed, exited } = up(named("early"));
  await printed(/making cluster/);
  child.kill("SIGKILL");
  await exited;
  const deadline = Date.now() + 1000;
  const names = async () => (await findClusters()).map((cluster) => cluster.settings.name);
  while ((await names()).includes(named("early")) && Date.now() < deadline) await sleep(10);
  assert.equal((await names()).includes(named("early")), false);
  assert.deepEqual(traces(), before);
});

test("kill -9 of the cluster's own init leaves nothing behind, and meshctl up says so", async () => {
  const before = traces();
  const { printed, exited } = up(named("decapitated"));
  await printed(/2 of 2 pods ready/);
  const initPid = await initOf(named("decapitated"));
  const pids = processesOf(initPid);
  process.kill(initPid, "SIGKILL");
  await assertGone(initPid, pids, before);
  await printed(/cluster decapitated-\d+ was taken away/);
  assert.equal(await exited, 0);
});

test("a failure inside the cluster is reported with what it said, and leaves nothing behind", async () => {
  const before = traces();
  const { printed, exited } = up(named("failing"));
  await printed(/2 of 2 pods ready/);
  const initPid = await initOf(named("failing"));
  const pids = processesOf(initPid);
  const children = readFileSync(`/proc/${initPid}/task/${initPid}/children`, "utf8");
  process.kill(Number.parseInt(children, 10), "SIGKILL");
  await printed(/cluster failing-\d+ ended by a failure: .*/);
  assert.equal(await exited, 1);
  await assertGone(initPid, pids, before);
});

test("Ctrl-C ends it with status 0 and leaves nothing behind", async () => {
  const before = traces();
  const { child, printed, exited } = up(named("interrupted"));
  await printed(/Ctrl-C/);
  const initPid = await initOf(named("interrupted"));
  const pids = processesOf(initPid);
  const begun = Date.now();
  child.kill("SIGINT");
  assert.equal(await exited, 0);
  // Pods that had to be waited for would take their whole grace period of 30 s.
  assert.ok(Date.now() - begun < 10_000, "nothing has to be waited for");
  await assertGone(initPid, pids, before);
});

test("a detached cluster goes on, and meshctl down ends it", async () => {
  const before = traces();
  const { printed, exited } = up(named("detached"), "--detach");
  await printed(/2 of 2 pods ready/);
  assert.equal(await exited, 0);
  const initPid = await initOf(named("detached"));
  const pids = processesOf(initPid);
  const { code, stdout } = meshctl("get", "pods", "--name", named("detached"));
  assert.equal(code, 0);
  assert.equal(stdout.split("\n").filter((line) => /1\/1 +Running/.test(line)).length, 2);
  assert.deepEqual(meshctl("down", "--name", named("detached")), {
    code: 0,
    stdout: `cluster ${named("detached")} is gone\n`,
    stderr: "",
  });
  await assertGone(initPid, pids, before);
});

test("two clusters run side by side with the same addresses, and a name is taken once", async () => {
  const [one, two] = [up(named("twin-one")), up(named("twin-two"))];
  await Promise.all([one.printed(/2 of 2 pods ready/), two.printed(/2 of 2 pods ready/)]);
  const wide = (name: string) => meshctl("get", "nodes", "--name", name).stdout;
  assert.match(wide(named("twin-one")), /node1 +172\.18\.0\.2/);
  assert.match(wide(named("twin-two")), /node1 +172\.18\.0\.2/);
  const none = meshctl("get", "se", "--name", named("twin-one"));
  assert.deepEqual([none.code, none.stdout], [0, ""]);
  assert.match(none.stderr, /there is no ServiceEntry in namespace default\nnext: .* se -A/);
  const ambiguous = meshctl("get", "pods");
  assert.equal(ambiguous.code, 1);
  assert.match(ambiguous.stderr, /several clusters are running: .*\nnext: say which one: --name/);
  const again = up(named("twin-one"));
  await again.printed(/a cluster named twin-one-\d+ is running already/);
  await again.printed(/next: meshctl down --name twin-one-\d+/);
  assert.equal(await again.exited, 1);
  one.child.kill("SIGINT");
  await one.exited;
  assert.match(wide(named("twin-two")), /node1/);
  two.child.kill("SIGINT");
  await two.exited;
});

test("follows its folder, says what changed, and keeps the last good version of a broken file", async () => {
  const { child, printed, exited } = up(named("edited"));
  await printed(/2 of 2 pods ready/);
  const file = join(folder, "pods.yaml");
  const pods = () =>
    meshctl("get", "pods", "--name", named("edited")).stdout.match(/Running/g)?.length;
  const untilPods = async (count: number): Promise<void> => {
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (pods() !== count && Date.now() < deadline) await sleep(100);
    assert.equal(pods(), count);
  };
  try {
    writeFileSync(file, PODS(3));
    await printed(/~ Deployment default\/sleeper changed: spec\.replicas: 2 -> 3/);
    await untilPods(3);
    writeFileSync(file, PODS(3).replace("replicas: 3", "replicas: many"));
    const line = await printed(/! .*pods\.yaml:6:\d+: error: spec\.replicas/);
    assert.match(line, new RegExp(`${folder}/pods.yaml:6:`));
    await sleep(300);
    assert.equal(pods(), 3);
    writeFileSync(file, PODS(1));
    await printed(/the folder has no problems any more/);
    await printed(/spec\.replicas: 3 -> 1/);
  } finally {
    writeFileSync(file, PODS(2));
    child.kill("SIGTERM");
    await exited;
  }
});

test("says what to type when there is no folder, no cluster, no pod", async () => {
  const missing = meshctl("up", "/no/such/folder", "--no-mesh");
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /there is no folder \/no\/such\/folder\nnext: meshctl up /);
  const nobody = meshctl("exec", "pod", "--name", "nobody", "--", "true");
  assert.equal(nobody.code, 1);
  assert.match(nobody.stderr, /there is no cluster nobody\nnext: /);
  const badVariable = meshctl("up", folder, "--ztunnel-env", "XDS_ON_DEMAND");
  assert.match(badVariable.stderr, /give NAME=VALUE/);
  const badName = meshctl("up", folder, "--name", "No Such Name");
  assert.match(badName.stderr, /is no name for a cluster\nnext: .*--name/);
});
