/** Fuzz targets by their names. */
import { MeshError } from "#common/runtime/errors.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { TARGETS } from "./targets/index.ts";

/** Throws MeshError BAD_OPTION, naming the targets there are. */
export function findTarget(name: string): FuzzTarget {
  const target = TARGETS.find((candidate) => candidate.name === name);
  if (target !== undefined) return target;
  throw new MeshError("BAD_OPTION", `there is no fuzz target ${name}`, {
    hint: `take one of ${TARGETS.map((candidate) => candidate.name).join(", ")}`,
  });
}
