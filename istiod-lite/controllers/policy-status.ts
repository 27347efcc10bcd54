/** Writes the conditions of policies: what ztunnel enforces of each, and why not all of it. */
import { describeError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import type { StatusWriter } from "../config/source.ts";
import type { ObjectStatus } from "../registry/registry-update.ts";

export class PolicyStatusController {
  readonly #writer: StatusWriter;
  readonly #logger: Logger;
  /** The newest status of each object that has not been written; a later one replaces an earlier one. */
  readonly #waiting = new Map<string, ObjectStatus>();
  #writing: Promise<void> | undefined;

  constructor(writer: StatusWriter, logger: Logger) {
    this.#writer = writer;
    this.#logger = logger;
  }

  write(statuses: readonly ObjectStatus[]): void {
    for (const status of statuses) {
      this.#waiting.set(`${status.kind}/${status.namespace}/${status.name}`, status);
    }
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Resolves when everything given so far is written, or has failed to be. */
  async idle(): Promise<void> {
    await this.#writing;
  }

  async #drain(): Promise<void> {
    for (const [key, status] of this.#waiting) {
      this.#waiting.delete(key);
      const { kind, namespace, name, conditions, generation } = status;
      try {
        await this.#writer.setConditions({ kind, namespace, name }, conditions, generation);
      } catch (error) {
        this.#logger.warn("status not written", { object: key, why: describeError(error) });
      }
    }
  }
}
