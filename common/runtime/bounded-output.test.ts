import assert from "node:assert/strict";
import { test } from "node:test";
import { BoundedOutput } from "./bounded-output.ts";

test("of what nobody reads only so much is kept; once it is read, output goes on", () => {
  let waiting = 0;
  let dropped = 0;
  const output = new BoundedOutput({
    write: (text) => {
      waiting += text.length;
    },
    waitingBytes: () => waiting,
    maxBytes: 1_000,
    onDropped: (count) => {
      dropped += count;
    },
  });
  const line = "x".repeat(100);
  for (let i = 0; i < 25; i++) output.writeOptional(line + line, 2);
  assert.deepEqual([waiting, dropped], [1_000, 40], "lines beyond the bound are left out");
  for (let i = 0; i < 50; i++) output.write(line);
  assert.deepEqual([waiting, dropped], [2_000, 80], "the program's own log has as much again");
  waiting = 0;
  output.writeOptional(line, 1);
  assert.deepEqual([waiting, dropped], [100, 80]);
});
