import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";

const ROOT = join(import.meta.dirname, "../..");

/** A program of its own, whose `start` is this text. It writes lines of what it is at. */
function run(t: TestContext, start: string) {
  const text = `
    const say = (line) => process.stdout.write(line + "\\n");
    const { runProgram } = await import("#common/runtime/run-program.ts");
    const { MeshError } = await import("#common/runtime/errors.ts");
    setInterval(() => undefined, 1000);
    runProgram("test", ${start});`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", text], { cwd: ROOT });
  t.after(() => child.kill("SIGKILL"));
  let [output, errors] = ["", ""];
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  const said = async (line: string): Promise<void> => {
    while (!output.includes(`${line}\n`)) await once(child.stdout, "data");
  };
  return { child, said, errors: () => errors };
}

async function endOf(child: ChildProcess): Promise<number | string> {
  const [code, signal] = await once(child, "close");
  return code ?? signal;
}

describe("a program", () => {
  it("that is still starting is ended by a signal that it has asked for", async (t) => {
    const { child, said } = run(t, `() => (say("starting"), new Promise(() => undefined))`);
    await said("starting");
    child.kill("SIGTERM");
    assert.equal(await endOf(child), 128 + 15);
  });

  it("stops in good order at the first signal, and at once at the second", async (t) => {
    const start = (stop: string): string => `async () => (say("started"), async () => {${stop}})`;
    const orderly = run(t, start(`say("stopped")`));
    await orderly.said("started");
    orderly.child.kill("SIGINT");
    await orderly.said("stopped");
    assert.equal(await endOf(orderly.child), 0);
    const slow = run(t, start(`say("stopping"); await new Promise(() => undefined)`));
    await slow.said("started");
    slow.child.kill("SIGTERM");
    await slow.said("stopping");
    slow.child.kill("SIGTERM");
    assert.equal(await endOf(slow.child), 128 + 15);
  });

  it("that cannot start, or stop, says why and what to do", async (t) => {
    const error = `new MeshError("X", "no port", { cause: new Error("taken"), hint: "take 1" })`;
    const told = "test: no port: taken\nhint: take 1\n";
    const unstarted = run(t, `() => Promise.reject(${error})`);
    assert.equal(await endOf(unstarted.child), 1);
    assert.equal(unstarted.errors(), told);
    const stuck = run(t, `async () => (say("started"), () => Promise.reject(${error}))`);
    await stuck.said("started");
    stuck.child.kill("SIGTERM");
    assert.equal(await endOf(stuck.child), 1);
    assert.equal(stuck.errors(), told);
  });
});
