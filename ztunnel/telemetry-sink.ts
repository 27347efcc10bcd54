/**
 * Where the data workers' connection records end up: metrics and the access log, in the control
 * thread.
 */
import { Counter, type Registry } from "prom-client";
import type { BoundedOutput } from "#common/runtime/bounded-output.ts";
import { accessLogLevel, formatAccessLog } from "#common/telemetry/access-log.ts";
import type {
  ConnectionBatch,
  LimitName,
  RecordFailure,
} from "#common/telemetry/connection-record.ts";
import { LabelTable } from "#common/telemetry/label-table.ts";
import type { LimitCounter } from "#common/telemetry/limit-counter.ts";
import { ACCESS_TARGET } from "#common/telemetry/log-levels.ts";
import type { LevelControl } from "#common/telemetry/logger.ts";
import { PolicyMetrics } from "#common/telemetry/policy-metrics.ts";
import { TrafficMetrics } from "#common/telemetry/traffic-metrics.ts";

export interface TelemetrySinkOptions {
  readonly logFormat: "text" | "json";
  /** Says whether connections that ended well (info) or not (error) are logged. */
  readonly logger: LevelControl;
  readonly output: Pick<BoundedOutput, "writeOptional">;
  readonly limits: LimitCounter;
}

export class TelemetrySink {
  readonly #options: TelemetrySinkOptions;
  readonly #traffic: TrafficMetrics;
  readonly #policies: PolicyMetrics;
  readonly #acceptFailures: Counter;
  readonly #hostLookUps: Counter;
  readonly #revocations: Counter;
  readonly #tables = new Map<number, LabelTable>();

  constructor(registry: Registry, options: TelemetrySinkOptions) {
    this.#options = options;
    this.#traffic = new TrafficMetrics(registry);
    this.#policies = new PolicyMetrics(registry);
    this.#acceptFailures = new Counter({
      name: "ambient_accept_failures_total",
      help: "Connections dropped at accept: no descriptor left, or a bound reached",
      registers: [registry],
    });
    this.#hostLookUps = new Counter({
      name: "istio_on_demand_dns_total",
      help: "Host names of endpoints that were looked up for a connection",
      registers: [registry],
    });
    this.#revocations = new Counter({
      name: "istio_crl_policy_rejections_total",
      help: "Connections refused or cut because the peer's certificate was revoked",
      labelNames: ["reporter"],
      registers: [registry],
    });
  }

  record(worker: number, batch: ConnectionBatch): void {
    if (batch.acceptFailures > 0) this.#acceptFailures.inc(batch.acceptFailures);
    this.#hostLookUps.inc(batch.hostLookUps ?? 0);
    const { levels } = this.#options.logger;
    const logged = {
      info: levels.enabled(ACCESS_TARGET, "info"),
      error: levels.enabled(ACCESS_TARGET, "error"),
    };
    for (const [limit, times] of Object.entries(batch.limitsReached ?? {})) {
      this.#options.limits.reached(limit as LimitName, times);
    }
    const lines: string[] = [];
    this.#table(worker).read(batch, (record, labels) => {
      this.#traffic.record(record, labels);
      if (record.event === "closed" || record.event === "refused") {
        this.#countFailure(record.failure, labels.reporter);
      }
      this.#policies.record(record);
      if (record.event !== "closed" && record.event !== "refused") return;
      if (!logged[accessLogLevel(record)]) return;
      lines.push(formatAccessLog(record, labels, this.#options.logFormat));
    });
    if (lines.length > 0) this.#options.output.writeOptional(lines.join(""), lines.length);
  }

  #countFailure(failure: RecordFailure | undefined, reporter: string): void {
    if (failure?.limit !== undefined) this.#options.limits.reached(failure.limit);
    if (failure?.reason === "certificate-revoked") this.#revocations.inc({ reporter });
  }

  #table(worker: number): LabelTable {
    let table = this.#tables.get(worker);
    if (table === undefined) {
      table = new LabelTable();
      this.#tables.set(worker, table);
    }
    return table;
  }
}
