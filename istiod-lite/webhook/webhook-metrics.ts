/** What the webhook decided, in Istio's metrics (pilot/pkg/validation: galley_validation_*). */
import { Counter, type Registry as MetricsRegistry } from "prom-client";
import type { AdmissionRequest, Verdict } from "./review.ts";

/** Groups whose requests have labels of their own: anybody can call, and write any group. */
const GROUPS: ReadonlySet<string> = new Set([
  ...["", "security.istio.io", "networking.istio.io", "telemetry.istio.io"],
  ...["ambientmesh.dev", "gateway.networking.k8s.io"],
]);
const VERSION = /^v[12](alpha[1-3]|beta[1-3])?$/;
const RESOURCES: ReadonlySet<string> = new Set([
  ...["authorizationpolicies", "peerauthentications", "requestauthentications", "telemetries"],
  ...["serviceentries", "workloadentries", "virtualservices", "destinationrules"],
  ...["ratelimitpolicies", "gateways", "httproutes", "grpcroutes", "tcproutes", "tlsroutes"],
  ...["namespaces", "services"],
]);
const OTHER = "other";

export class WebhookMetrics {
  readonly #passed: Counter<"group" | "version" | "resource">;
  readonly #failed: Counter<"group" | "version" | "resource" | "reason">;
  readonly #httpErrors: Counter<"status">;

  constructor(metrics: MetricsRegistry) {
    const registers = [metrics];
    this.#passed = new Counter({
      name: "galley_validation_passed",
      help: "Objects that the validating webhook let in.",
      labelNames: ["group", "version", "resource"],
      registers,
    });
    this.#failed = new Counter({
      name: "galley_validation_failed",
      help: "Objects that the validating webhook refused.",
      labelNames: ["group", "version", "resource", "reason"],
      registers,
    });
    this.#httpErrors = new Counter({
      name: "galley_validation_http_error",
      help: "Requests to the validating webhook that were no reviews.",
      labelNames: ["status"],
      registers,
    });
  }

  decided({ kind, resource }: AdmissionRequest, { allowed }: Verdict): void {
    const isKnown = GROUPS.has(kind.group) && VERSION.test(kind.version) && RESOURCES.has(resource);
    const labels = isKnown
      ? { group: kind.group, version: kind.version, resource }
      : { group: OTHER, version: OTHER, resource: OTHER };
    if (allowed) this.#passed.inc(labels);
    else this.#failed.inc({ ...labels, reason: "invalid_resource" });
  }

  httpError(status: number): void {
    this.#httpErrors.inc({ status: String(status) });
  }
}
