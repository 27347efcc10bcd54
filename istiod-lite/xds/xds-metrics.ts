/** istiod's xDS metrics, under istiod's names. */
import { Counter, Gauge, type Registry } from "prom-client";
import {
  ADDRESS_TYPE,
  AUTHORIZATION_TYPE,
  CAPTURED_POD_TYPE,
  type TypeUrl,
} from "#common/xds/type-urls.ts";

/** istiod's short names of types, as its `type` label has them. */
const SHORT_NAMES: Readonly<Record<TypeUrl, string>> = {
  [ADDRESS_TYPE]: "wds",
  [AUTHORIZATION_TYPE]: "wads",
  [CAPTURED_POD_TYPE]: "capture",
};

export class XdsMetrics {
  readonly #connected: Gauge;
  readonly #pushes: Counter;
  readonly #resources: Counter;
  readonly #rejects: Counter;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#connected = new Gauge({ name: "pilot_xds", help: "Connected proxies", registers });
    this.#pushes = new Counter({
      name: "pilot_xds_pushes",
      help: "xDS responses sent",
      labelNames: ["type"],
      registers,
    });
    this.#resources = new Counter({
      name: "ambient_xds_resources_sent_total",
      help: "Resources sent in xDS responses",
      labelNames: ["type"],
      registers,
    });
    this.#rejects = new Counter({
      name: "pilot_total_xds_rejects",
      help: "xDS responses that proxies refused",
      labelNames: ["type"],
      registers,
    });
  }

  connected(count: number): void {
    this.#connected.set(count);
  }

  pushed(typeUrl: TypeUrl, resources: number): void {
    const type = SHORT_NAMES[typeUrl];
    this.#pushes.inc({ type });
    this.#resources.inc({ type }, resources);
  }

  rejected(typeUrl: TypeUrl): void {
    this.#rejects.inc({ type: SHORT_NAMES[typeUrl] });
  }
}
