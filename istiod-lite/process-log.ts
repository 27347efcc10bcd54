/** What istiod-lite says of itself: bounded where nobody reads it. */
import type { Registry } from "prom-client";
import { BoundedOutput } from "#common/runtime/bounded-output.ts";
import { LimitCounter } from "#common/telemetry/limit-counter.ts";
import { createLogger, type Logger } from "#common/telemetry/logger.ts";
import { LOG_QUEUE_BYTES } from "./limits.ts";
import type { IstiodOptions } from "./options.ts";

/** Where lines go. */
export interface Output {
  readonly write: (line: string) => void;
  /** What of that waits because nobody reads it. */
  readonly unreadBytes: () => number;
}

/** Lines that are left out are counted in `ambient_limit_reached_total{limit="log-queue"}`. */
export function createProcessLog(
  { logLevel: level, logFormat: format }: Pick<IstiodOptions, "logLevel" | "logFormat">,
  { write, unreadBytes }: Output,
  registry: Registry,
): Logger {
  const limits = new LimitCounter(registry);
  const output = new BoundedOutput({
    write,
    waitingBytes: unreadBytes,
    maxBytes: LOG_QUEUE_BYTES,
    onDropped: (count) => limits.reached("log-queue", count),
  });
  return createLogger({ level, format, write: (line) => output.write(line) });
}
