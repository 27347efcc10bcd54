/** When one exchange with the server has to end, and why it ended: by time, caller or failure. */
import { connectionError } from "#common/kube-client/api-status.ts";
import { KubeApiError } from "#common/kube-client/kube-client.ts";

export class Deadline {
  readonly #asked: string;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.cancel(this.#error("Aborted", "given up by its caller"));
  readonly #ending = Promise.withResolvers<never>();
  #timer: NodeJS.Timeout | undefined;
  #timeoutMs: number;
  #destroy: ((error: Error) => void) | undefined;
  #reason: KubeApiError | undefined;

  constructor(asked: string, timeoutMs: number, signal: AbortSignal | undefined) {
    this.#asked = asked;
    this.#timeoutMs = timeoutMs;
    this.#signal = signal;
    this.#ending.promise.catch(() => undefined);
    this.restart(timeoutMs);
    if (signal?.aborted === true) this.#onAbort();
    else signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** From now on, so many milliseconds. */
  restart(timeoutMs: number): void {
    if (this.#reason !== undefined) return;
    if (this.#timer !== undefined && this.#timeoutMs === timeoutMs) {
      this.#timer.refresh();
      return;
    }
    clearTimeout(this.#timer);
    this.#timeoutMs = timeoutMs;
    this.#timer = setTimeout(() => {
      this.cancel(this.#error("Timeout", `nothing came for ${timeoutMs} ms`));
    }, timeoutMs);
  }

  /** How to end what is going on; at once if it is too late already. */
  onEnd(destroy: (error: Error) => void): void {
    this.#destroy = destroy;
    if (this.#reason !== undefined) destroy(this.#reason);
  }

  /** What comes first: the promise, or the end. */
  race<Value>(promise: Promise<Value>): Promise<Value> {
    return Promise.race([promise, this.#ending.promise]);
  }

  cancel(reason: KubeApiError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#ending.reject(reason);
    this.#destroy?.(reason);
    this.#release();
  }

  /** The exchange is over; what is left of it is ended. */
  end(): void {
    this.cancel(this.#error("Aborted", "given up by its caller"));
  }

  /** Why it ended: what ended it here counts more than the failure that this led to. */
  reasonFor(failure: unknown): KubeApiError {
    return this.#reason ?? connectionError(this.#asked, "ConnectionLost", failure);
  }

  #error(reason: string, message: string): KubeApiError {
    return new KubeApiError(`${this.#asked}: ${message}`, { status: 0, reason });
  }

  #release(): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}
