/**
 * The tables of all ports, each compiled once: by `prepare` in slices when configuration arrives,
 * or else when the first request asks.
 */
import type { HttpRoutes } from "#common/model/waypoint/http-route.ts";
import { MeshError } from "#common/runtime/errors.ts";
import {
  type CompiledRoutes,
  compileInSlices,
  compileRoutes,
  type RouteProblem,
  type Slices,
} from "./compile.ts";
import type { RouteTable } from "./route-table.ts";

export class RouteTables {
  /** `invalid`: more matches than a table may have. */
  readonly #tables = new WeakMap<HttpRoutes, RouteTable | "invalid">();
  readonly #slices: Slices;
  readonly #onProblem: (problem: RouteProblem | MeshError) => void;

  constructor(slices: Slices, onProblem: (problem: RouteProblem | MeshError) => void) {
    this.#slices = slices;
    this.#onProblem = onProblem;
  }

  /** The same table for the same object; undefined where it cannot be compiled. */
  tableOf(routes: HttpRoutes): RouteTable | undefined {
    const known = this.#tables.get(routes);
    if (known !== undefined) return known === "invalid" ? undefined : known;
    try {
      return this.#keep(routes, compileRoutes(routes));
    } catch (error) {
      return this.#refuse(routes, error);
    }
  }

  /** Resolves when `tableOf` has nothing left to do for these; until then others get their turn. */
  async prepare(routes: HttpRoutes): Promise<void> {
    if (this.#tables.has(routes)) return;
    try {
      this.#keep(routes, await compileInSlices(routes, this.#slices));
    } catch (error) {
      this.#refuse(routes, error);
    }
  }

  #keep(routes: HttpRoutes, { table, problems }: CompiledRoutes): RouteTable {
    const known = this.#tables.get(routes);
    if (known !== undefined && known !== "invalid") return known;
    this.#tables.set(routes, table);
    for (const problem of problems) this.#onProblem(problem);
    return table;
  }

  #refuse(routes: HttpRoutes, error: unknown): undefined {
    if (!(error instanceof MeshError)) throw error;
    this.#tables.set(routes, "invalid");
    this.#onProblem(error);
  }
}
