import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { previousLog } from "#meshctl/local/paths.ts";
import { type ProcessSpec, SupervisedProcess } from "./supervised-process.ts";

const dir = mkdtempSync(join(tmpdir(), "supervised-"));
after(() => rmSync(dir, { recursive: true }));
let logs = 0;

function supervise(script: string, more: Partial<ProcessSpec> = {}): SupervisedProcess {
  const spec: ProcessSpec = {
    argv: ["sh", "-c", script],
    env: { PATH: process.env.PATH ?? "" },
    log: join(dir, `${++logs}.log`),
    restart: "Always",
    wrapped: false,
    backoff: { initialMs: 20, maxMs: 40 },
    ...more,
  };
  const child = new SupervisedProcess(spec, () => undefined);
  child.start();
  return child;
}

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !what(); i++) await sleep(10);
  assert.ok(what());
}

const isAlive = (pid: number): boolean => {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};

describe("a supervised process", () => {
  test("is started again after it ends, and the log of the run before is kept", async () => {
    const log = join(dir, "again.log");
    const child = supervise("echo $$; [ -e again ] || { touch again; exit 3; }; sleep 60", {
      log,
      argv: [
        "sh",
        "-c",
        `cd ${dir}; echo $$; [ -e again ] || { touch again; exit 3; }; exec sleep 60`,
      ],
    });
    await until(() => child.restarts === 1 && child.state.kind === "running");
    const last = child.lastTermination;
    assert.equal(last?.kind === "terminated" && last.exitCode, 3);
    await until(() => readFileSync(log, "utf8") !== "");
    assert.notEqual(readFileSync(log, "utf8"), readFileSync(previousLog(log), "utf8"));
    await child.stop(0);
  });

  test("waits longer each time, and says what it waits for", async () => {
    const child = supervise("exit 1", { backoff: { initialMs: 60_000, maxMs: 60_000 } });
    await until(() => child.state.kind === "waiting");
    assert.ok(child.state.kind === "waiting");
    assert.equal(child.state.reason, "CrashLoopBackOff");
    assert.match(child.state.message, /exited with status 1; next start in \d+\.\d s/);
    await child.stop(0);
  });

  test("is left alone when its policy says so", async () => {
    const never = supervise("exit 1", { restart: "Never" });
    const done = supervise("exit 0", { restart: "OnFailure" });
    const failing = supervise("exit 1", { restart: "OnFailure" });
    await until(() => never.state.kind === "terminated" && done.state.kind === "terminated");
    await until(() => failing.restarts > 0);
    assert.equal(never.restarts + done.restarts, 0);
    await failing.stop(0);
  });

  test("gets SIGTERM first, and SIGKILL with all its children when its time is over", async () => {
    const child = supervise('trap "" TERM; sh -c \'trap "" TERM; sleep 60\' & wait; wait');
    await until(() => child.pid !== undefined);
    const pid = child.pid ?? 0;
    const childrenNow = () => readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    // Whoever is there has inherited that SIGTERM is ignored.
    await until(() => childrenNow() !== "");
    const children = childrenNow();
    const begun = Date.now();
    await child.stop(200);
    assert.ok(Date.now() - begun >= 190);
    await until(() => !isAlive(Number(children)));
    assert.equal(child.state.kind, "terminated");
    await sleep(80);
    assert.equal(child.restarts, 0, "what was stopped stays down");
  });

  test("leaves nothing running when it ends by itself", async () => {
    const file = join(dir, "left-behind");
    const child = supervise(`sleep 60 & echo $! > ${file}; exit 0`, { restart: "Never" });
    await until(() => child.state.kind === "terminated");
    await until(() => !isAlive(Number(readFileSync(file, "utf8"))));
  });

  test("ends by itself on SIGTERM within its time", async () => {
    const child = supervise("exec sleep 60");
    await until(() => child.pid !== undefined);
    const begun = Date.now();
    await child.stop(10_000);
    assert.ok(Date.now() - begun < 5000);
  });

  test("that cannot be started is reported like one that failed", async () => {
    const child = supervise("", { argv: ["/no/such/program"], restart: "Never" });
    await until(() => child.state.kind === "terminated");
    assert.equal(child.state.kind === "terminated" && child.state.exitCode, 127);
  });
});
