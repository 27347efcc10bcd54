/**
 * What keeps kinds from being read, told once each: one line for a server that cannot be reached or
 * does not know us, one for each kind that is not allowed, and one when all is well again.
 */
import type { KubeApiError } from "#common/kube-client/kube-client.ts";
import { describeError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { FAILURES_BEFORE_TOLD } from "#istiod-lite/config/kubernetes/limits.ts";

interface Trouble {
  readonly error: KubeApiError;
  /** Failures one after the other. */
  readonly count: number;
}

export class Troubles {
  readonly #logger: Logger;
  readonly #troubles = new Map<string, Trouble>();
  readonly #toldDenied = new Map<string, string>();
  /** What is wrong with every kind, as it was told last. */
  #toldOfServer: "unreachable" | "unknown to it" | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Why a kind is not read now; undefined while it is. */
  of(kind: string): KubeApiError | undefined {
    return this.#troubles.get(kind)?.error;
  }

  get kinds(): readonly string[] {
    return [...this.#troubles.keys()];
  }

  set(kind: string, error: KubeApiError | undefined): void {
    if (error === undefined) this.#clear(kind);
    else this.#add(kind, error);
  }

  #clear(kind: string): void {
    if (!this.#troubles.delete(kind)) return;
    if (this.#toldDenied.delete(kind)) {
      this.#logger.info("objects can be read again", { kind });
    }
    if (this.#troubles.size > 0 || this.#toldOfServer === undefined) return;
    this.#toldOfServer = undefined;
    this.#logger.info("the API server answers again: everything is being read");
  }

  #add(kind: string, error: KubeApiError): void {
    const count = (this.#troubles.get(kind)?.count ?? 0) + 1;
    this.#troubles.set(kind, { error, count });
    const why = describeError(error);
    const { hint } = error;
    if (error.status === FORBIDDEN) {
      if (this.#toldDenied.get(kind) === error.reason) return;
      this.#toldDenied.set(kind, error.reason);
      this.#logger.error("objects cannot be read: it is not allowed", { kind, why, hint });
      return;
    }
    const stays = "what is known stays in force";
    if (error.status === UNAUTHORIZED && this.#toldOfServer !== "unknown to it") {
      this.#toldOfServer = "unknown to it";
      const message = "the API server does not know this istiod-lite: nothing can be read";
      this.#logger.error(message, { why, hint, stays });
    }
    if (this.#toldOfServer !== undefined || count < FAILURES_BEFORE_TOLD) return;
    this.#toldOfServer = "unreachable";
    this.#logger.error("the API server does not answer as it should", { kind, why, hint, stays });
  }
}

const UNAUTHORIZED = 401;
const FORBIDDEN = 403;

export function isDenied({ status }: KubeApiError): boolean {
  return status === UNAUTHORIZED || status === FORBIDDEN;
}
