/**
 * Keys that need attention, a bounded number of them at a time. A key is never worked on twice at
 * once; one that is added meanwhile is worked on again after. Memory is bounded by the number of
 * keys.
 */
export class WorkQueue {
  readonly #concurrency: number;
  readonly #work: (key: string) => Promise<void>;
  readonly #waiting = new Set<string>();
  readonly #running = new Set<string>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #closed = false;

  /** `work` reports its own failures: it never rejects. */
  constructor(concurrency: number, work: (key: string) => Promise<void>) {
    this.#concurrency = concurrency;
    this.#work = work;
  }

  /** Works on the key as soon as there is room; a delayed `add` of the key is superseded. */
  add(key: string): void {
    if (this.#closed) return;
    this.#cancelTimer(key);
    this.#waiting.add(key);
    this.#start();
  }

  addAfter(key: string, delayMs: number): void {
    if (this.#closed || this.#waiting.has(key)) return;
    this.#cancelTimer(key);
    this.#timers.set(
      key,
      setTimeout(() => this.add(key), delayMs),
    );
  }

  /** Starts nothing more, and resolves when what runs has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting.clear();
    for (const key of [...this.#timers.keys()]) this.#cancelTimer(key);
    while (this.#running.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  #start(): void {
    for (const key of this.#waiting) {
      if (this.#running.size >= this.#concurrency) return;
      if (this.#running.has(key)) continue;
      this.#waiting.delete(key);
      this.#running.add(key);
      void this.#work(key).finally(() => {
        this.#running.delete(key);
        this.#start();
      });
    }
  }

  #cancelTimer(key: string): void {
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
  }
}
