/** Steady traffic: so many calls a second, and what became of them. */
import { setTimeout as sleep } from "node:timers/promises";

/** What a call was to come to, and whether it did; `excused` calls are counted apart. */
export type Outcome = { readonly ok: boolean; readonly what: string } | "excused";

const TICK_MS = 20;
/** A machine that cannot keep up makes fewer calls, not more at once. */
const MAX_UNDER_WAY = 200;
const CALL_TIMEOUT_MS = 20_000;
const MAX_KINDS_OF_FAILURE = 20;

export class Load {
  readonly name: string;
  readonly perSecond: number;
  readonly #call: () => Promise<Outcome>;
  readonly #underWay = new Set<Promise<void>>();
  readonly #running: Promise<void>;
  readonly #failures = new Map<string, number>();
  #stopped = false;
  calls = 0;
  good = 0;
  excused = 0;
  failed = 0;

  /** Begins at once. A call that rejects, or takes more than 20 s, has failed. */
  constructor(name: string, perSecond: number, call: () => Promise<Outcome>) {
    this.name = name;
    this.perSecond = perSecond;
    this.#call = call;
    this.#running = this.#run();
  }

  /** How calls failed, with when and how many; the first kinds only. */
  get failures(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#failures);
  }

  /** Counts what was done beside the steady calls. */
  record(outcome: Outcome): void {
    this.calls++;
    this.#count(outcome);
  }

  /** Resolves when the calls that are under way now have ended. */
  async quiesce(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await this.quiesce();
  }

  async #run(): Promise<void> {
    let due = 0;
    let last = performance.now();
    while (!this.#stopped) {
      const now = performance.now();
      // After a pause of this process the rate goes on; the pause is not made up for.
      due = Math.min(due + ((now - last) / 1000) * this.perSecond, this.perSecond);
      last = now;
      for (; due >= 1 && this.#underWay.size < MAX_UNDER_WAY; due--) this.#start();
      await sleep(TICK_MS);
    }
  }

  #start(): void {
    this.calls++;
    const done = this.#one().finally(() => this.#underWay.delete(done));
    this.#underWay.add(done);
  }

  async #one(): Promise<void> {
    const timeout = new AbortController();
    const late = sleep(CALL_TIMEOUT_MS, { ok: false, what: "hung" }, { signal: timeout.signal });
    const call = this.#call().catch((error: Error) => ({ ok: false, what: error.message }));
    const outcome = await Promise.race([call, late]);
    timeout.abort();
    await late.catch(() => undefined);
    this.#count(outcome);
  }

  #count(outcome: Outcome): void {
    if (outcome === "excused") this.excused++;
    else if (outcome.ok) this.good++;
    else this.#fail(outcome.what);
  }

  #fail(what: string): void {
    this.failed++;
    if (this.#failures.size >= MAX_KINDS_OF_FAILURE && !this.#failures.has(what)) return;
    this.#failures.set(what, (this.#failures.get(what) ?? 0) + 1);
  }
}
