/**
 * What policies said that do not decide, in numbers of our own: Istio's ztunnel logs the matches of
 * dry-run policies and counts nothing.
 */
import { Counter, type Registry } from "prom-client";
import type { PolicyAction } from "#common/model/authorization.ts";
import type { ConnectionRecord } from "./connection-record.ts";
import { POLICY_SERIES } from "./limits.ts";

export class PolicyMetrics {
  readonly #verdicts: Counter;
  readonly #matches: Counter;
  readonly #policies = new Set<string>();

  constructor(registry: Registry) {
    this.#verdicts = new Counter({
      name: "ambient_policy_dry_run_verdicts_total",
      help:
        "Connections that dry-run policies apply to: enforced is what was done, " +
        "result what would be done if those policies were enforced too",
      labelNames: ["enforced", "result"],
      registers: [registry],
    });
    this.#matches = new Counter({
      name: "ambient_policy_matches_total",
      help: "Connections that a policy matched which is not enforced: dry runs and AUDIT",
      labelNames: ["policy", "action", "mode"],
      registers: [registry],
    });
  }

  /** Counts a connection once, when its fate is decided. */
  record(record: ConnectionRecord): void {
    if (record.event === "bytes" || record.report === undefined) return;
    if (record.event === "closed" && record.opened !== true) return;
    const { report } = record;
    const enforced = record.event === "refused" ? "deny" : "allow";
    if (report.dryRun !== undefined) {
      const { allowed, matched } = report.dryRun;
      this.#verdicts.inc({ enforced, result: allowed ? "allow" : "deny" });
      for (const { policy, action } of matched) this.#matched(policy, action, "dry_run");
    }
    for (const policy of report.audited) this.#matched(policy, "audit", "audit");
  }

  #matched(policy: string, action: PolicyAction, mode: "dry_run" | "audit"): void {
    const known = this.#policies.has(policy) || this.#policies.size < POLICY_SERIES;
    if (known) this.#policies.add(policy);
    this.#matches.inc({ policy: known ? policy : "unknown", action: action.toUpperCase(), mode });
  }
}
