/** Metrics of port 15012 and of the CA behind it; names are Istio's where Istio has them. */
import { Counter, Gauge, type Registry } from "prom-client";
import type { DropReason } from "./connection-gate.ts";

export interface EndpointSources {
  readonly connections: () => number;
  /** When the first root ends; milliseconds since the epoch. */
  readonly rootsNotAfter: () => number;
}

export class EndpointMetrics {
  readonly #dropped: Counter;
  readonly #refused: Counter;

  constructor(registry: Registry, { connections, rootsNotAfter }: EndpointSources) {
    const registers = [registry];
    this.#dropped = new Counter({
      name: "ambient_grpc_connections_dropped_total",
      help: "Connections to the gRPC port that were reset before they had proven anything",
      labelNames: ["reason"],
      registers,
    });
    this.#refused = new Counter({
      name: "ambient_grpc_calls_refused_total",
      help: "Calls refused for want of a good token",
      registers,
    });
    new Gauge({
      name: "ambient_grpc_connections",
      help: "Connections to the gRPC port",
      registers,
      collect() {
        this.set(connections());
      },
    });
    new Gauge({
      name: "citadel_server_root_cert_expiry_timestamp",
      help: "When the first of the trusted roots ends, in seconds since the epoch",
      registers,
      collect() {
        this.set(rootsNotAfter() / 1000);
      },
    });
  }

  dropped(reason: DropReason): void {
    this.#dropped.inc({ reason });
  }

  refused(): void {
    this.#refused.inc();
  }
}
