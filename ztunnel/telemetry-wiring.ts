/** What ztunnel says of itself and of its connections, put together; and its look at its memory. */
import type { Registry } from "prom-client";
import { BoundedOutput } from "#common/runtime/bounded-output.ts";
import { MemoryWatch } from "#common/runtime/memory-watch.ts";
import { LimitCounter } from "#common/telemetry/limit-counter.ts";
import { createLogger, type LevelControl, type Logger } from "#common/telemetry/logger.ts";
import type { ZtunnelConfig } from "./config.ts";
import { LOG_QUEUE_BYTES } from "./limits.ts";
import type { DataWorkers } from "./proxy/data-workers.ts";
import { TelemetrySink } from "./telemetry-sink.ts";

/** Where lines go. */
export interface Output {
  readonly write: (lines: string) => void;
  /** What of that waits because nobody reads it. */
  readonly unreadBytes: () => number;
}

export interface Telemetry {
  readonly logger: Logger & LevelControl;
  readonly connections: TelemetrySink;
}

/** The log's level is the configuration's until somebody changes it. */
export function createTelemetry(
  { logLevels, logFormat }: Pick<ZtunnelConfig, "logLevels" | "logFormat">,
  { write, unreadBytes }: Output,
  registry: Registry,
): Telemetry {
  const limits = new LimitCounter(registry);
  const output = new BoundedOutput({
    write,
    waitingBytes: unreadBytes,
    maxBytes: LOG_QUEUE_BYTES,
    onDropped: (count) => limits.reached("log-queue", count),
  });
  const logger = createLogger({
    level: logLevels,
    format: logFormat,
    write: (text) => output.write(text),
  });
  const connections = new TelemetrySink(registry, {
    logFormat,
    output,
    limits,
    logger,
  });
  return { logger, connections };
}

/** Has the workers refuse new connections while memory is short. */
export function watchMemory(
  dir: string,
  workers: () => Pick<DataWorkers, "setMemoryIsShort"> | undefined,
  logger: Logger,
): MemoryWatch {
  return new MemoryWatch({
    dir,
    onChange: (short, use) => {
      workers()?.setMemoryIsShort(short);
      if (short) logger.warn("memory is short: new connections are refused", { ...use });
      else logger.info("there is memory again: new connections are taken", { ...use });
    },
  });
}
