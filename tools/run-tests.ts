/**
 * Runs the tests: unit tests everywhere, and the ones that need root where namespaces can be made.
 *
 * usage: node tools/run-tests.ts [--unit | --namespaced] [PART-OF-A-PATH ...]
 *        node tools/run-tests.ts --interop [--ztunnel PATH] [--istioctl PATH] [PART-OF-A-PATH ...]
 *        node tools/run-tests.ts --kubernetes [PART-OF-A-PATH ...]
 *
 * Without an option, unit tests come first. Where namespaces cannot be made the others are left
 * out, and that is said; with REQUIRE_ROOT=1, or when --namespaced asks for them, it is a failure.
 *
 * Tests against programs of others (test/interop) take a ztunnel or an istioctl, and those on a
 * real Kubernetes (test/kubernetes) build one first: both run only when asked for.
 */
import { spawnSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join, resolve } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { parseArgs } from "node:util";
import { namespaceObstacles } from "./system-check.ts";

const ROOT = join(import.meta.dirname, "..");

const USAGE = `usage: npm test -- [PART-OF-A-PATH ...]
       npm run test:unit -- [PART-OF-A-PATH ...]
       npm run test:namespaced -- [PART-OF-A-PATH ...]
       npm run test:interop -- [--ztunnel PATH] [--istioctl PATH] [PART-OF-A-PATH ...]
       npm run test:kubernetes -- [PART-OF-A-PATH ...]`;

type TestsStream = ReturnType<typeof run>;

interface Suite {
  readonly title: string;
  readonly files: readonly string[];
  /** Files at once, each in a process of its own. */
  readonly concurrency: number;
  /** The longest that one test may take. */
  readonly testTimeoutMs: number;
  /** The longest that one file may take, the end of its process included. */
  readonly fileTimeoutMs: number;
}

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** True for tests that make namespaces: by their place or by their name. */
function needsRoot(file: string): boolean {
  return file.endsWith(".root.test.ts") || file.startsWith("test/namespaced/");
}

/** True for tests that need a program which is no part of this project. */
function needsPeer(file: string): boolean {
  return file.startsWith("test/interop/");
}

/** True for tests on a real Kubernetes. */
function needsKubernetes(file: string): boolean {
  return file.startsWith("test/kubernetes/");
}

function findTests(parts: readonly string[]): string[] {
  const found = globSync("**/*.test.ts", {
    cwd: ROOT,
    exclude: (path) => /(^|\/)(node_modules|bench-results|\.[^/]+)$/.test(path),
  });
  return found
    .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
    .sort();
}

function unitSuite(files: readonly string[]): Suite {
  return {
    title: "unit tests",
    files,
    concurrency: Math.max(2, cpus().length),
    testTimeoutMs: 60_000,
    fileTimeoutMs: 240_000,
  };
}

function namespacedSuite(files: readonly string[]): Suite {
  return {
    title: "namespaced tests",
    files,
    // Each file brings up clusters of its own; more than two at once only wait for each other.
    concurrency: 2,
    testTimeoutMs: 120_000,
    fileTimeoutMs: 600_000,
  };
}

/** Runs one suite, printing as it goes, and counts single tests, not files. */
async function runSuite(suite: Suite): Promise<Counts> {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  console.log(`\n${suite.title}: ${suite.files.length} files`);
  const hung = new AbortController();
  const stream = run({
    cwd: ROOT,
    files: suite.files.map((file) => join(ROOT, file)),
    concurrency: suite.concurrency,
    signal: hung.signal,
    // A client library's connection that lingers after the last test must not hold up the run.
    execArgv: [`--test-timeout=${suite.testTimeoutMs}`, "--test-force-exit"],
  });
  const stopWatching = abortWhenAFileHangs(stream, suite.fileTimeoutMs, hung);
  stream.on("test:summary", (summary) => {
    // Summaries of single files carry their name; the one without is the whole run's.
    if (summary.file !== undefined) return;
    const { passed, skipped, todo, tests } = summary.counts;
    counts.passed = passed;
    counts.skipped = skipped + todo;
    counts.failed = tests - passed - counts.skipped;
  });
  for await (const chunk of stream.compose(spec)) process.stdout.write(chunk);
  stopWatching();
  return counts;
}

/**
 * The runner waits for ever for a file whose process does not end, say because of an open socket.
 * This ends the run instead, naming the file. Returns what stops the watching.
 */
function abortWhenAFileHangs(
  stream: TestsStream,
  limitMs: number,
  abort: AbortController,
): () => void {
  const timers = new Map<string, NodeJS.Timeout>();
  stream.on("test:dequeue", ({ name, file }) => {
    if (name !== file) return;
    const message = `still running after ${limitMs / 1000} s: the run ends here`;
    timers.set(
      name,
      setTimeout(() => abort.abort(new Error(message)), limitMs),
    );
  });
  stream.on("test:complete", ({ name }) => clearTimeout(timers.get(name)));
  return () => {
    for (const timer of timers.values()) clearTimeout(timer);
  };
}

function usageError(message: string): never {
  console.error(message);
  process.exit(2);
}

function parseCommandLine() {
  const flag = { type: "boolean" } as const;
  const path = { type: "string" } as const;
  const suites = { unit: flag, namespaced: flag, interop: flag, kubernetes: flag };
  const options = { ...suites, ztunnel: path, istioctl: path };
  try {
    return parseArgs({ allowPositionals: true, options });
  } catch {
    return usageError(USAGE);
  }
}

/** What to run here, by the arguments and by what this machine can do. */
function plan(): Suite[] {
  const { values, positionals } = parseCommandLine();
  const all = findTests(positionals);
  const files = all.filter(
    (file) =>
      needsPeer(file) === (values.interop ?? false) &&
      needsKubernetes(file) === (values.kubernetes ?? false),
  );
  if (files.length === 0) usageError(nothingFound(positionals, all));
  if (values.interop) return interopPlan(files, values);
  if (values.kubernetes) return kubernetesPlan(files);
  const unit = values.namespaced ? [] : files.filter((file) => !needsRoot(file));
  const namespaced = values.unit ? [] : files.filter(needsRoot);
  const obstacles = namespaced.length > 0 ? namespaceObstacles() : [];
  if (obstacles.length === 0) return suitesOf(unit, namespaced);
  const reason = obstacles.join("; ");
  if (process.env.REQUIRE_ROOT === "1" || values.namespaced) {
    usageError(`The namespaced tests cannot run: ${reason}.`);
  }
  console.log(`Leaving out ${namespaced.length} files of namespaced tests: ${reason}.`);
  return suitesOf(unit, []);
}

function nothingFound(parts: readonly string[], elsewhere: readonly string[]): string {
  const commands = [
    ...(elsewhere.some(needsPeer) ? ["npm run test:interop -- --ztunnel PATH"] : []),
    ...(elsewhere.some(needsKubernetes) ? ["npm run test:kubernetes"] : []),
  ];
  const where = commands.length > 0 ? `: ${commands.join(" and ")} has some` : "";
  return `no test file has ${parts.join(" or ")} in its path${where}`;
}

/** Builds what a cluster is made of first, where that is not there yet: it can take minutes. */
function kubernetesPlan(files: readonly string[]): Suite[] {
  prepareKubernetes();
  const limits = { testTimeoutMs: 300_000, fileTimeoutMs: 2_400_000 };
  const withNodes = files.filter(asksForNodes);
  const others = files.filter((file) => !withNodes.includes(file));
  const suites = [
    // These wait for an API server more than they work.
    { title: "Kubernetes tests without nodes", files: others, concurrency: 2, ...limits },
    // Nodes keep two processors busy.
    { title: "Kubernetes tests with nodes", files: withNodes, concurrency: 1, ...limits },
  ];
  return suites.filter((suite) => suite.files.length > 0);
}

function asksForNodes(file: string): boolean {
  return /\bnodes: [12]\b/.test(readFileSync(join(ROOT, file), "utf8"));
}

function prepareKubernetes(): void {
  const obstacles = namespaceObstacles();
  if (obstacles.length > 0) {
    usageError(`The Kubernetes tests cannot run: ${obstacles.join("; ")}.`);
  }
  const prepare = join(ROOT, "test/kubernetes/harness/tools/prepare.ts");
  const prepared = spawnSync(process.execPath, [prepare], { stdio: "inherit" });
  if (prepared.status !== 0) usageError("The Kubernetes tests cannot run: see above.");
}

/** Programs of others by the option that names them, and the files of tests that want each. */
const PEERS = {
  ztunnel: { variable: "INTEROP_ZTUNNEL", isFor: (file: string) => !file.includes("istioctl") },
  istioctl: { variable: "INTEROP_ISTIOCTL", isFor: (file: string) => file.includes("istioctl") },
} as const;

/** Whoever asks for these means them: what keeps them from running is an error. */
function interopPlan(files: readonly string[], paths: Readonly<Record<string, unknown>>): Suite[] {
  const obstacles = namespaceObstacles();
  if (obstacles.length > 0) usageError(`The interop tests cannot run: ${obstacles.join("; ")}.`);
  const suites = Object.entries(PEERS).flatMap(([peer, { variable, isFor }]) => {
    const path = paths[peer];
    const own = files.filter(isFor);
    if (typeof path !== "string" || own.length === 0) return [];
    process.env[variable] = resolve(path);
    if (peer === "ztunnel") return [{ ...namespacedSuite(own), title: "interop tests" }];
    return kubernetesPlan(own);
  });
  if (suites.length === 0) {
    usageError(
      "Name the program of others: npm run test:interop -- --ztunnel PATH, --istioctl PATH",
    );
  }
  return suites;
}

function suitesOf(unit: readonly string[], namespaced: readonly string[]): Suite[] {
  return [unitSuite(unit), namespacedSuite(namespaced)].filter((suite) => suite.files.length > 0);
}

async function main(): Promise<void> {
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const suite of plan()) {
    const counts = await runSuite(suite);
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped += counts.skipped;
  }
  console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  const incomplete = process.env.REQUIRE_ROOT === "1" && total.skipped > 0;
  process.exitCode = total.failed > 0 || total.passed === 0 || incomplete ? 1 : 0;
}

await main();
