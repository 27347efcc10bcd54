/** What ztunnel says of itself and of its connections, put together; and its look at its memory. */
import type { Registry } from "prom-client";
import { MemoryWatch } from "#common/runtime/memory-watch.ts";
import type { Output } from "#common/runtime/process-host.ts";
import type { LevelControl, Logger } from "#common/telemetry/logger.ts";
import { createProcessLog } from "#common/telemetry/process-log.ts";
import type { ZtunnelConfig } from "./config.ts";
import type { DataWorkers } from "./proxy/data-workers.ts";
import { TelemetrySink } from "./telemetry-sink.ts";

export interface Telemetry {
  readonly logger: Logger & LevelControl;
  readonly connections: TelemetrySink;
}

/** The log's level is the configuration's until somebody changes it. */
export function createTelemetry(
  { logLevels: level, logFormat: format }: Pick<ZtunnelConfig, "logLevels" | "logFormat">,
  sink: Output,
  registry: Registry,
): Telemetry {
  const { logger, output, limits } = createProcessLog({ level, format }, sink, registry);
  const parts = { logFormat: format, output, limits, logger };
  const connections = new TelemetrySink(registry, parts);
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
