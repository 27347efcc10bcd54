/**
 * What keeps kinds from being read, told once each: one line for a server that cannot be reached or
 * does not know us, one for each kind that is not allowed, and one when all is well again.
 */
import type { KubeApiError } from "#common/kube-client/kube-client.ts";
import { describeError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import {
  DENIALS_BEFORE_BELIEVED,
  FAILURES_BEFORE_TOLD,
} from "#istiod-lite/config/kubernetes/limits.ts";

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

  /** Whether a kind may not be read, as far as that can be believed. */
  isDenied(kind: string): boolean {
    const { error, count = 0 } = this.#troubles.get(kind) ?? {};
    return error !== undefined && isDenied(error) && count >= DENIALS_BEFORE_BELIEVED;
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
    const last = this.#troubles.get(kind);
    const goesOn = last !== undefined && isDenied(last.error) === isDenied(error);
    const count = goesOn ? last.count + 1 : 1;
    this.#troubles.set(kind, { error, count });
    if (count < (isDenied(error) ? DENIALS_BEFORE_BELIEVED : FAILURES_BEFORE_TOLD)) return;
    if (error.status === UNAUTHORIZED) this.#unknown(error);
    else if (error.status === FORBIDDEN) this.#denied(kind, error);
    else this.#unreachable(kind, error);
  }

  #unreachable(kind: string, error: KubeApiError): void {
    if (this.#toldOfServer !== undefined) return;
    this.#toldOfServer = "unreachable";
    const why = { kind, ...whyOf(error), stays: STAYS };
    this.#logger.error("the API server does not answer as it should", why);
  }

  #unknown(error: KubeApiError): void {
    if (this.#toldOfServer === "unknown to it") return;
    this.#toldOfServer = "unknown to it";
    const message = "the API server does not know this istiod-lite: nothing can be read";
    this.#logger.error(message, { ...whyOf(error), stays: STAYS });
  }

  #denied(kind: string, error: KubeApiError): void {
    if (this.#toldDenied.get(kind) === error.reason) return;
    this.#toldDenied.set(kind, error.reason);
    this.#logger.error("objects cannot be read: it is not allowed", { kind, ...whyOf(error) });
  }
}

const STAYS = "what is known stays in force";

function whyOf(error: KubeApiError) {
  return { why: describeError(error), hint: error.hint };
}

const UNAUTHORIZED = 401;
const FORBIDDEN = 403;

export function isDenied({ status }: KubeApiError): boolean {
  return status === UNAUTHORIZED || status === FORBIDDEN;
}
