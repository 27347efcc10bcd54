import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { cutLog } from "./log-limiter.ts";

const dir = mkdtempSync(join(tmpdir(), "logs-"));
after(() => rmSync(dir, { recursive: true }));

test("a log that is too long keeps its newer whole lines, and its writer goes on after them", async () => {
  const log = join(dir, "c.log");
  const writer = openSync(log, "a");
  for (let i = 0; i < 100; i++) writeSync(writer, `line ${i}\n`);
  await cutLog(log, 400);
  writeSync(writer, "line 100\n");
  const lines = readFileSync(log, "utf8").trimEnd().split("\n");
  assert.ok(lines.length < 30);
  const first = Number(lines[0]?.split(" ")[1]);
  assert.deepEqual(
    lines,
    Array.from({ length: 101 - first }, (_, i) => `line ${first + i}`),
  );
});

test("a log that is not is left alone", async () => {
  const log = join(dir, "d.log");
  appendFileSync(log, "short\n");
  await cutLog(log, 400);
  assert.equal(readFileSync(log, "utf8"), "short\n");
});
