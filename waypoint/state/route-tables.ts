/**
 * The compiled rules of every port, made before a change is in force and in slices, so that neither
 * the change nor the first request after it stops the others.
 */
import { setImmediate as pause } from "node:timers/promises";
import type { HttpRoutes } from "#common/model/waypoint/http-route.ts";
import type { WaypointResource } from "#common/model/waypoint/resource.ts";
import { describeError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { compileInSlices } from "../route/compile.ts";
import type { RouteTable } from "../route/route-table.ts";

export class RouteTables {
  /** Null where the rules could not be compiled. */
  readonly #tables = new WeakMap<HttpRoutes, RouteTable | null>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Undefined for rules that could not be compiled. */
  get(routes: HttpRoutes): RouteTable | undefined {
    return this.#tables.get(routes) ?? undefined;
  }

  /** Compiles what these resources bring. Never rejects. */
  async prepare(resources: Iterable<WaypointResource>): Promise<void> {
    for (const resource of resources) {
      if (resource.kind !== "service") continue;
      for (const { http, port } of resource.ports) {
        if (http !== undefined) await this.#compile(http, `${resource.hostname}:${port}`);
      }
    }
  }

  async #compile(routes: HttpRoutes, of: string): Promise<void> {
    try {
      const { table, problems } = await compileInSlices(routes, {
        now: () => performance.now(),
        pause,
      });
      this.#tables.set(routes, table);
      for (const { origin, message } of problems) {
        const { kind, namespace, name, rule } = origin;
        const where = `${kind} ${namespace}/${name} rule ${rule}`;
        this.#logger.warn("a match holds for no request", { of, where, why: message });
      }
    } catch (error) {
      this.#tables.set(routes, null);
      this.#logger.error("routes could not be compiled: their requests are answered with 500", {
        of,
        why: describeError(error),
      });
    }
  }
}
