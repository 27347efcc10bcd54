/** What metrics say of the configuration: whether it is whole, and who writes back to it. */
import { Gauge, type Registry } from "prom-client";
import type { Leadership } from "./leadership.ts";
import type { ConfigSource } from "./source.ts";

/** `ambient_config_source_held_objects`: 0 while all is well. */
export function countHeldObjects(registry: Registry, source: Pick<ConfigSource, "loss">): void {
  new Gauge({
    name: "ambient_config_source_held_objects",
    help: "Objects that stay in force although the source of configuration has lost them",
    registers: [registry],
    collect() {
      this.set(source.loss?.held.size ?? 0);
    },
  });
}

/** `ambient_leader`: of several replicas one has 1. */
export function showLeadership(registry: Registry, leadership: Leadership): void {
  new Gauge({
    name: "ambient_leader",
    help: "Whether this replica is the one that writes statuses and objects",
    registers: [registry],
    collect() {
      this.set(leadership.isLeader ? 1 : 0);
    },
  });
}
