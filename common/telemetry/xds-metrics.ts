/** Istio's metrics of the xDS stream (ambient.md F152). */
import { Counter, type Registry } from "prom-client";

/** What the xDS client counts with. */
export class XdsMetrics {
  readonly #terminations: Counter<"reason">;
  readonly #messages: Counter<"url">;
  readonly #bytes: Counter<"url">;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#terminations = new Counter({
      name: "istio_xds_connection_terminations_total",
      help: "xDS streams that ended, by reason",
      labelNames: ["reason"],
      registers,
    });
    this.#messages = new Counter({
      name: "istio_xds_message_total",
      help: "xDS messages received, by type URL",
      labelNames: ["url"],
      registers,
    });
    this.#bytes = new Counter({
      name: "istio_xds_message_bytes_total",
      help: "Bytes of xDS messages received, by type URL",
      labelNames: ["url"],
      registers,
    });
  }

  terminated(reason: string): void {
    this.#terminations.inc({ reason });
  }

  received(url: string, bytes: number): void {
    this.#messages.inc({ url });
    this.#bytes.inc({ url }, bytes);
  }
}
