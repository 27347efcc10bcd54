import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger } from "#common/telemetry/logger.ts";
import { REFUSALS_LOGGED_PER_MINUTE } from "./limits.ts";
import { RefusalLog } from "./refusal-log.ts";

test("a flood of refusals is a few lines a minute, and the next one says how many there were", () => {
  const lines: string[] = [];
  let now = 0;
  const logger = createLogger({ level: "info", format: "text", write: (line) => lines.push(line) });
  const refusals = new RefusalLog(logger, "refused", () => now);
  for (let i = 0; i < 10_000; i++) refusals.warn({ peer: `10.0.0.1:${i}` });
  assert.equal(lines.length, REFUSALS_LOGGED_PER_MINUTE);
  now = 60_000;
  refusals.warn({ peer: "10.0.0.2:1" });
  refusals.warn({ peer: "10.0.0.2:2" });
  assert.equal(lines.length, REFUSALS_LOGGED_PER_MINUTE + 2);
  const [told, after] = lines.slice(-2);
  assert.match(told ?? "", new RegExp(`notTold=${10_000 - REFUSALS_LOGGED_PER_MINUTE}`));
  assert.doesNotMatch(after ?? "", /notTold/);
});
