/** Those who wait until a pod is captured: by an attempt that began after they came. */

interface Waiter {
  readonly resolve: () => void;
}

export class CaptureWaiters {
  readonly #waiting = new Map<string, Set<Waiter>>();

  /** Resolves with whether the pod has been captured when it has, or the signal aborts. */
  async wait(podUid: string, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const waiter: Waiter = { resolve: () => resolve(true) };
    const give = (): void => resolve(false);
    signal.addEventListener("abort", give, { once: true });
    const waiters = this.#waiting.get(podUid) ?? new Set();
    this.#waiting.set(podUid, waiters.add(waiter));
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", give);
      waiters.delete(waiter);
      if (waiters.size === 0 && this.#waiting.get(podUid) === waiters) this.#waiting.delete(podUid);
    }
  }

  /** To be called when an attempt begins; what it returns, when that has captured the pod. */
  attempt(podUid: string): () => void {
    const present = [...(this.#waiting.get(podUid) ?? [])];
    return () => {
      for (const { resolve } of present) resolve();
    };
  }
}
