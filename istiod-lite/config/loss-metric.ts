/** How many objects are in force that the source of configuration has lost. */
import { Gauge, type Registry } from "prom-client";
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
