import assert from "node:assert/strict";
import { it } from "node:test";
import { Registry } from "prom-client";
import { LOG_QUEUE_BYTES } from "./limits.ts";
import { createProcessLog } from "./process-log.ts";

it("leaves out log lines that nobody reads, counts them, and goes on when somebody does", async () => {
  const metrics = new Registry();
  const written: string[] = [];
  let unread = 0;
  const output = {
    write: (line: string) => {
      written.push(line);
      unread += line.length;
    },
    unreadBytes: () => unread,
  };
  const { logger } = createProcessLog({ level: "info", format: "text" }, output, metrics);
  const line = "x".repeat(64 * 1024);
  const many = (4 * LOG_QUEUE_BYTES) / line.length;
  for (let i = 0; i < many; i++) logger.warn(line);
  assert.ok(unread >= LOG_QUEUE_BYTES, "what is beyond the bound is left out, nothing before it");
  assert.ok(unread < 2 * LOG_QUEUE_BYTES + 2 * line.length);
  const dropped = many - written.length;
  const counted = new RegExp(`ambient_limit_reached_total\\{limit="log-queue"\\} ${dropped}`);
  assert.match(await metrics.metrics(), counted);
  unread = 0;
  logger.warn("read again");
  assert.match(written.at(-1) ?? "", /read again/);
});
