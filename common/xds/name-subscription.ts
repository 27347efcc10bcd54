/**
 * Resources of one type that are asked for by name as they are needed, instead of all there are
 * (ambient.md 2.5). What is asked for stays subscribed: the server says what becomes of it, also
 * that it is not there (yet). Names are aliases as well: `<network>/<ip>` of an address.
 */
import { NAMES_ABSENT, NAMES_FOUND, NAMES_PENDING } from "./limits.ts";

/** Sends one request of the type. */
export type SendNames = (subscribe: readonly string[], unsubscribe: readonly string[]) => void;

/**
 * `pending`: an answer will come. `absent`: the server cannot be asked now, and said so before.
 * `limit`: too many names are subscribed to; it is not asked for.
 */
export type AskOutcome = "pending" | "absent" | "limit";

export interface NameAnswers {
  /** Names and aliases that lead to a resource; it has been applied. */
  readonly found: readonly string[];
  /** Names that lead nowhere. */
  readonly absent: readonly string[];
  /** Names that are not followed any more. */
  readonly forgotten: readonly string[];
}

export class NameSubscription {
  readonly #onAnswers: (answers: NameAnswers) => void;
  readonly #pending = new Set<string>();
  readonly #found = new Set<string>();
  /** The oldest answer first. */
  readonly #absent = new Set<string>();
  /** Never forgotten. */
  readonly #kept = new Set<string>();
  readonly #toSubscribe = new Set<string>();
  readonly #toUnsubscribe = new Set<string>();
  #send: SendNames | undefined;
  #scheduled = false;

  constructor(onAnswers: (answers: NameAnswers) => void) {
    this.#onAnswers = onAnswers;
  }

  /** Asks, also for what was answered before. */
  ask(name: string): AskOutcome {
    if (this.#pending.has(name)) return "pending";
    if (this.#absent.has(name) && this.#send === undefined) return "absent";
    const isNew = !this.#absent.delete(name) && !this.#found.delete(name);
    if (isNew && this.#isFull && !this.#kept.has(name)) return "limit";
    this.#pending.add(name);
    // A server need not answer for what is subscribed to already.
    if (!isNew) this.#toUnsubscribe.add(name);
    this.#toSubscribe.add(name);
    this.#schedule();
    return "pending";
  }

  /** Follows the name until `release`, whatever else there is. */
  keep(name: string): void {
    if (this.#kept.has(name)) return;
    this.#kept.add(name);
    this.ask(name);
  }

  release(name: string): void {
    if (this.#kept.delete(name)) this.#forget([name]);
  }

  /**
   * To be called after a push has been applied, with the names and aliases of its resources, and
   * what it says is not there.
   */
  answered(names: Iterable<string>, removed: readonly string[]): void {
    const found = [...names].filter((name) => this.#isFollowed(name));
    const absent = removed.filter((name) => this.#isFollowed(name));
    for (const name of found) this.#settle(name, this.#found);
    for (const name of absent) this.#settle(name, this.#absent);
    if (found.length + absent.length === 0) return;
    this.#onAnswers({ found, absent, forgotten: [] });
    this.#forgetOldest();
  }

  /** A stream is there: what was answered is subscribed to again, what was not is asked again. */
  attach(send: SendNames): {
    readonly settled: readonly string[];
    readonly open: readonly string[];
  } {
    this.#send = send;
    this.#toSubscribe.clear();
    this.#toUnsubscribe.clear();
    return { settled: [...this.#found, ...this.#absent], open: [...this.#pending] };
  }

  detach(): void {
    this.#send = undefined;
  }

  get #isFull(): boolean {
    return this.#pending.size >= NAMES_PENDING || this.#found.size >= NAMES_FOUND;
  }

  #isFollowed(name: string): boolean {
    return this.#pending.has(name) || this.#found.has(name) || this.#absent.has(name);
  }

  #settle(name: string, answer: Set<string>): void {
    this.#pending.delete(name);
    this.#found.delete(name);
    this.#absent.delete(name);
    answer.add(name);
  }

  /** Anybody can make us ask for addresses at which nobody is: the oldest of them go. */
  #forgetOldest(): void {
    const excess = this.#absent.size - NAMES_ABSENT;
    if (excess <= 0) return;
    const oldest = [...this.#absent].filter((name) => !this.#kept.has(name));
    this.#forget(oldest.slice(0, excess));
  }

  #forget(names: readonly string[]): void {
    for (const name of names) {
      this.#pending.delete(name);
      this.#found.delete(name);
      this.#absent.delete(name);
      this.#toSubscribe.delete(name);
      this.#toUnsubscribe.add(name);
    }
    this.#schedule();
    this.#onAnswers({ found: [], absent: [], forgotten: names });
  }

  /** What is asked within one turn of the event loop is one request, or two. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    const subscribe = [...this.#toSubscribe];
    const unsubscribe = [...this.#toUnsubscribe];
    this.#toSubscribe.clear();
    this.#toUnsubscribe.clear();
    // In one request, a name in both lists would end as not subscribed.
    if (unsubscribe.length > 0) this.#send?.([], unsubscribe);
    if (subscribe.length > 0) this.#send?.(subscribe, []);
  }
}
