/** What the waypoint says of itself and of the connections whose bytes it carries, put together. */
import { Counter, type Registry } from "prom-client";
import type { BoundedOutput } from "#common/runtime/bounded-output.ts";
import type { Output } from "#common/runtime/process-host.ts";
import { accessLogLevel, formatAccessLog } from "#common/telemetry/access-log.ts";
import type { LimitName } from "#common/telemetry/connection-record.ts";
import { ACCESS_TARGET } from "#common/telemetry/log-levels.ts";
import type { LevelControl, Logger } from "#common/telemetry/logger.ts";
import { createProcessLog } from "#common/telemetry/process-log.ts";
import { TrafficMetrics } from "#common/telemetry/traffic-metrics.ts";
import type { ConnectionFailure } from "#common/transport/failure.ts";
import type { WaypointConfig } from "./config.ts";
import type { RecordConnection } from "./tcp/tcp-report.ts";

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
  { logLevels: level, logFormat: format }: Pick<WaypointConfig, "logLevels" | "logFormat">,
  sink: Output,
  registry: Registry,
): Telemetry {
  const { logger, output, limits } = createProcessLog({ level, format }, sink, registry);
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
      output.writeOptional(formatAccessLog(record, labels, format), 1);
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
