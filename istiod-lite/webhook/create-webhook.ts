/** The validating webhook put together, where this process is to serve one. */
import type { Registry as MetricsRegistry } from "prom-client";
import type { ObjectChange } from "#common/kubernetes/objects.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import type { LiveAuthority } from "../ca/live-authority.ts";
import type { RegistryOptions } from "../registry/registry-options.ts";
import { MeshPreview } from "./mesh-preview.ts";
import { WebhookMetrics } from "./webhook-metrics.ts";
import { WebhookServer } from "./webhook-server.ts";

export interface WebhookDeps {
  /** 0 for any free port. */
  readonly port: number;
  readonly host: string;
  readonly registry: RegistryOptions;
  readonly authority: LiveAuthority;
  readonly dnsNames: readonly string[];
  readonly metrics: MetricsRegistry;
  readonly logger: Logger;
}

export interface Webhook {
  /** Takes in what the registry takes in. */
  apply(changes: readonly ObjectChange[]): void;
  /** Resolves with the port. */
  listen(): Promise<number>;
  close(): Promise<void>;
}

export function createWebhook(deps: WebhookDeps): Webhook {
  const { authority, dnsNames, host, logger, port } = deps;
  const preview = new MeshPreview(deps.registry);
  const metrics = new WebhookMetrics(deps.metrics);
  const server = new WebhookServer({ authority, dnsNames, preview, metrics, logger });
  return {
    apply: (changes) => preview.apply(changes),
    listen: () => server.listen(host, port),
    close: () => server.close(),
  };
}
