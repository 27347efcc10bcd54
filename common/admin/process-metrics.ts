/** Metrics of a proxy itself: build, xDS stream. Names are Istio's where Istio has them. */
import { Counter, Gauge, type Registry } from "prom-client";
import type { TerminationReason, XdsCounters } from "#common/xds/delta-client.ts";

export function registerBuildInfo(registry: Registry, component: string, tag: string): void {
  new Gauge({
    name: "istio_build",
    help: "The running version",
    labelNames: ["component", "tag"],
    registers: [registry],
  }).set({ component, tag }, 1);
}

export class XdsClientMetrics implements XdsCounters {
  readonly #terminations: Counter;
  readonly #messages: Counter;
  readonly #bytes: Counter;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#terminations = new Counter({
      name: "istio_xds_connection_terminations_total",
      help: "xDS streams that ended",
      labelNames: ["reason"],
      registers,
    });
    this.#messages = new Counter({
      name: "istio_xds_message_total",
      help: "xDS responses received",
      labelNames: ["url"],
      registers,
    });
    this.#bytes = new Counter({
      name: "istio_xds_message_bytes_total",
      help: "Bytes of resources received by xDS",
      labelNames: ["url"],
      registers,
    });
  }

  terminated(reason: TerminationReason): void {
    this.#terminations.inc({ reason });
  }

  received(typeUrl: string, bytes: number): void {
    this.#messages.inc({ url: typeUrl });
    this.#bytes.inc({ url: typeUrl }, bytes);
  }
}
