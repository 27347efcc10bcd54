/** What the waypoint says of itself and of the connections whose bytes it carries, put together. */
import { Counter, type Registry } from "prom-client";
import { BoundedOutput } from "#common/runtime/bounded-output.ts";
import { accessLogLevel, formatAccessLog } from "#common/telemetry/access-log.ts";
import type { LimitName } from "#common/telemetry/connection-record.ts";
import { LimitCounter } from "#common/telemetry/limit-counter.ts";
import { ACCESS_TARGET } from "#common/telemetry/log-levels.ts";
import { createLogger, type LevelControl, type Logger } from "#common/telemetry/logger.ts";
import { TrafficMetrics } from "#common/telemetry/traffic-metrics.ts";
import type { ConnectionFailure } from "#common/transport/failure.ts";
import type { WaypointConfig } from "./config.ts";
import { LOG_QUEUE_BYTES } from "./limits.ts";
import type { RecordConnection } from "./tcp/tcp-report.ts";

/** Where lines go. */
export interface Output {
  readonly write: (lines: string) => void;
  /** What of that waits because nobody reads it. */
  readonly unreadBytes: () => number;
}

export interface Telemetry {
  readonly logger: Logger & LevelControl;
  /** For access logs: what goes first where nobody reads. */
  readonly output: Pick<BoundedOutput, "writeOptional">;
  readonly record: RecordConnection;
  /** Something was refused before there was anything to carry. */
  readonly refused: (why: ConnectionFailure) => void;
  readonly limitReached: (limit: LimitName) => void;
}

export function createTelemetry(
  { logLevels, logFormat }: Pick<WaypointConfig, "logLevels" | "logFormat">,
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
  const traffic = new TrafficMetrics(registry);
  const refusals = refusalCounter(registry);
  return {
    logger,
    output,
    record: (record, labels) => {
      traffic.record(record, labels);
      if (record.event !== "closed" && record.event !== "refused") return;
      if (record.failure?.limit !== undefined) limits.reached(record.failure.limit);
      if (!logger.levels.enabled(ACCESS_TARGET, accessLogLevel(record))) return;
      output.writeOptional(formatAccessLog(record, labels, logFormat), 1);
    },
    refused: ({ reason, limit }) => {
      refusals.inc({ reason });
      if (limit !== undefined) limits.reached(limit);
    },
    limitReached: (limit) => limits.reached(limit),
  };
}

function refusalCounter(registry: Registry): Counter {
  return new Counter({
    name: "ambient_waypoint_refusals_total",
    help: "Tunnels and CONNECTs refused before there was anything to carry",
    labelNames: ["reason"],
    registers: [registry],
  });
}
