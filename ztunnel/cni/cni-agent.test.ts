import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { createLogger } from "#common/telemetry/logger.ts";
import { CniAgent } from "./cni-agent.ts";
import { isListening } from "./cni-server.ts";
import { SandboxRecords } from "./sandbox-records.ts";

test("an agent whose socket cannot be had at first has it as soon as it can", async (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "cni-agent-"));
  t.after(() => fs.rmSync(dir, { recursive: true }));
  const run = path.join(dir, "run");
  const socketPath = path.join(run, "cni.sock");
  fs.writeFileSync(run, "no directory");
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  const never = (): never => assert.fail("nobody asks for it");
  const agent = new CniAgent({
    socketPath,
    install: undefined,
    excludedNamespaces: [],
    node: "node-1",
    channel: { client: never, metadata: never },
    records: new SandboxRecords(path.join(dir, "sandboxes"), ""),
    capture: { capture: never, forget: never },
    isReady: () => true,
    onUninstall: never,
    log: createLogger({ level: "info", format: "text", write }),
  });
  const stopping = new AbortController();
  const running = agent.run(stopping.signal);
  const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
    const deadline = Date.now() + 30_000;
    while (!(await holds())) {
      assert.ok(Date.now() < deadline, lines.join(""));
      await delay(20);
    }
  };
  await until(() => lines.some((line) => /is not answered/.test(line)));
  fs.rmSync(run);
  await until(() => isListening(socketPath));
  stopping.abort();
  await running;
  assert.equal(lines.filter((line) => /\berror\b/.test(line)).length, 1);
});
