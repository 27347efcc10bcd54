/** What is wrong with objects that the API server let through: told once, kept until mended. */
import { formatIssue, type Issue } from "#common/kubernetes/problem.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import {
  REFUSED_OBJECTS_TOLD,
  WARNINGS_REMEMBERED,
} from "#istiod-lite/config/kubernetes/limits.ts";
import type { ObjectReference } from "#istiod-lite/config/source.ts";

/** What is in force instead of an object that was refused. */
export type InForce = "its last good state" | "something stricter" | "nothing";

export interface RefusedObject {
  readonly object: ObjectReference;
  /** `field: what is wrong (what to write instead)`, one after the other. */
  readonly message: string;
  readonly inForce: InForce;
}

export interface ObjectProblemsDeps {
  readonly logger: Logger;
  /** An object was refused, for a reason that was not told of it before. */
  readonly onRefused?: ((refused: RefusedObject) => void) | undefined;
}

export class ObjectProblems {
  readonly #deps: ObjectProblemsDeps;
  readonly #refused = new Map<string, RefusedObject>();
  readonly #warnings = new Set<string>();

  constructor(deps: ObjectProblemsDeps) {
    this.#deps = deps;
  }

  /** At most `REFUSED_OBJECTS_TOLD`. */
  get refused(): Iterable<RefusedObject> {
    return this.#refused.values();
  }

  get refusedCount(): number {
    return this.#refused.size;
  }

  refuse(key: string, issues: readonly Issue[], inForce: InForce): void {
    const errors = issues.filter(({ severity }) => severity === "error");
    const message = errors.map(formatIssue).join("; ");
    const before = this.#refused.get(key);
    if (before?.message === message && before.inForce === inForce) return;
    if (before === undefined && this.#refused.size >= REFUSED_OBJECTS_TOLD) return;
    const refused = { object: referenceOf(key), message, inForce };
    this.#refused.set(key, refused);
    this.#deps.logger.error("object refused", { object: key, why: message, inForce });
    this.#deps.onRefused?.(refused);
  }

  warn(key: string, issues: readonly Issue[]): void {
    for (const issue of issues) {
      const line = `${key}: ${formatIssue(issue)}`;
      if (this.#warnings.has(line)) continue;
      if (this.#warnings.size >= WARNINGS_REMEMBERED) this.#warnings.clear();
      this.#warnings.add(line);
      this.#deps.logger.warn(formatIssue(issue), { object: key });
    }
  }

  /** The object is fine now, or gone. */
  settle(key: string): void {
    if (!this.#refused.delete(key)) return;
    this.#deps.logger.info("object refused before is fine now, or gone", { object: key });
  }
}

function referenceOf(key: string): ObjectReference {
  const [kind = "", namespace = "", name = ""] = key.split("/");
  return { kind: kind as ObjectReference["kind"], namespace, name };
}
