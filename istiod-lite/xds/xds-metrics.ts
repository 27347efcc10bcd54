/** istiod's xDS metrics, under istiod's names where it has one. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import {
  ADDRESS_TYPE,
  AUTHORIZATION_TYPE,
  CAPTURED_POD_TYPE,
  TYPE_URLS,
  type TypeUrl,
  WAYPOINT_TYPE,
} from "#common/xds/type-urls.ts";
import type { ResourceView } from "../registry/resource-table.ts";

/** istiod's short names of types, as its `type` label has them. */
const SHORT_NAMES: Readonly<Record<TypeUrl, string>> = {
  [ADDRESS_TYPE]: "wds",
  [AUTHORIZATION_TYPE]: "wads",
  [CAPTURED_POD_TYPE]: "capture",
  [WAYPOINT_TYPE]: "waypoint",
};

// From a change of one pod in a small mesh to a full push in a large one.
const SECONDS = [0.0005, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5];

/** Why a stream was refused or ended: the `reason` label of ambient_xds_refusals_total. */
export type RefusalReason = "unauthenticated" | "denied" | "not-synced" | "too-many" | "slow";

export class XdsMetrics {
  readonly #connected: Gauge;
  readonly #pushes: Counter;
  readonly #resources: Counter;
  readonly #rejects: Counter;
  readonly #refusals: Counter;
  readonly #pushTime: Histogram;
  readonly #convergence: Histogram;

  constructor(registry: Registry, resources: Pick<ResourceView, "count">) {
    const registers = [registry];
    const labelNames = ["type"];
    const counter = (name: string, help: string, labels: string[]) =>
      new Counter({ name, help, labelNames: labels, registers });
    this.#connected = new Gauge({ name: "pilot_xds", help: "Connected proxies", registers });
    this.#pushes = counter("pilot_xds_pushes", "xDS responses sent", labelNames);
    this.#resources = counter(
      "ambient_xds_resources_sent_total",
      "Resources and removals sent in xDS responses",
      labelNames,
    );
    this.#rejects = counter(
      "pilot_total_xds_rejects",
      "xDS responses that proxies refused",
      labelNames,
    );
    this.#refusals = counter("ambient_xds_refusals_total", "xDS streams refused", ["reason"]);
    countResources(registry, resources);
    this.#pushTime = new Histogram({
      name: "pilot_xds_push_time",
      help: "Seconds spent making and queueing one xDS response",
      labelNames,
      buckets: SECONDS,
      registers,
    });
    this.#convergence = new Histogram({
      name: "pilot_proxy_convergence_time",
      help: "Seconds from a configuration change to its push being queued for every ready proxy",
      buckets: SECONDS,
      registers,
    });
  }

  connected(count: number): void {
    this.#connected.set(count);
  }

  pushed(typeUrl: TypeUrl, resources: number, seconds: number): void {
    const type = SHORT_NAMES[typeUrl];
    this.#pushes.inc({ type });
    this.#resources.inc({ type }, resources);
    this.#pushTime.observe({ type }, seconds);
  }

  converged(seconds: number): void {
    this.#convergence.observe(seconds);
  }

  rejected(typeUrl: TypeUrl): void {
    this.#rejects.inc({ type: SHORT_NAMES[typeUrl] });
  }

  refused(reason: RefusalReason): void {
    this.#refusals.inc({ reason });
  }
}

/** Counts what is published of each type whenever the metrics are read. */
function countResources(registry: Registry, resources: Pick<ResourceView, "count">): void {
  new Gauge({
    name: "ambient_xds_resources",
    help: "Resources published",
    labelNames: ["type"],
    registers: [registry],
    collect() {
      for (const type of TYPE_URLS) this.set({ type: SHORT_NAMES[type] }, resources.count(type));
    },
  });
}
