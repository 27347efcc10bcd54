/** What the waypoint says of requests, put together: where logs, metrics and spans go. */
import { randomBytes } from "node:crypto";
import { Counter, type Registry } from "prom-client";
import { ACCESS_TARGET } from "#common/telemetry/log-levels.ts";
import type { WaypointConfig } from "./config.ts";
import type { CallService } from "./filter/service-caller.ts";
import { RequestTelemetry } from "./telemetry/request-telemetry.ts";
import { SpanExporter } from "./telemetry/span-exporter.ts";
import type { Telemetry } from "./telemetry-wiring.ts";

export interface RequestTelemetryParts {
  readonly requests: RequestTelemetry;
  readonly spans: SpanExporter;
}

export function createRequestTelemetry(
  config: WaypointConfig,
  { logger, output }: Pick<Telemetry, "logger" | "output">,
  registry: Registry,
  call: CallService,
): RequestTelemetryParts {
  const dropped = new Counter({
    name: "ambient_spans_dropped_total",
    help: "Spans that no collector took",
    registers: [registry],
  });
  const log = logger.scope("proxy");
  const spans = new SpanExporter({
    call,
    onDropped: (count, why) => {
      dropped.inc(count);
      log.warn("spans are lost", { count, why });
    },
  });
  const requests = new RequestTelemetry({
    registry,
    exporter: spans,
    writeLog: (text, lines) => {
      if (logger.levels.enabled(ACCESS_TARGET, "info")) output.writeOptional(text, lines);
    },
    proxy: {
      name: config.gatewayName,
      namespace: config.podNamespace,
      clusterId: config.clusterId,
      meshId: config.trustDomains[0],
      podName: config.podName,
    },
    randomHex: (bytes) => randomBytes(bytes).toString("hex"),
    random: Math.random,
  });
  return { requests, spans };
}
