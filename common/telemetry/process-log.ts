/** What a process says of itself: bounded where nobody reads it, and counted. */
import type { Registry } from "prom-client";
import { BoundedOutput } from "#common/runtime/bounded-output.ts";
import type { Output } from "#common/runtime/process-host.ts";
import { LimitCounter } from "#common/telemetry/limit-counter.ts";
import { LOG_QUEUE_BYTES } from "#common/telemetry/limits.ts";
import {
  createLogger,
  type LevelControl,
  type Logger,
  type LoggerOptions,
} from "#common/telemetry/logger.ts";

export interface ProcessLog {
  readonly logger: Logger & LevelControl;
  /** For access logs, which go first where nobody reads. */
  readonly output: BoundedOutput;
  readonly limits: LimitCounter;
}

/** Lines that are left out are counted in `ambient_limit_reached_total{limit="log-queue"}`. */
export function createProcessLog(
  { level, format }: Pick<LoggerOptions, "level" | "format">,
  { write, unreadBytes }: Output,
  registry: Registry,
): ProcessLog {
  const limits = new LimitCounter(registry);
  const output = new BoundedOutput({
    write,
    waitingBytes: unreadBytes,
    maxBytes: LOG_QUEUE_BYTES,
    onDropped: (count) => limits.reached("log-queue", count),
  });
  const logger = createLogger({ level, format, write: (text) => output.write(text) });
  return { logger, output, limits };
}
