/**
 * An end whose first bytes have been looked at before anybody took it: who takes it gets them all,
 * as if they came only then.
 */
import type { End, EndEvents } from "./end.ts";

/** Undefined while more bytes could tell. `over`: no more will come, or have been waited for. */
export type Judge<Verdict> = (bytes: Uint8Array, over: boolean) => Verdict | undefined;

export class PeekedEnd implements End {
  readonly #inner: End;
  #held = new Uint8Array(0);
  #taken: EndEvents | undefined;
  #ended = false;
  #closed = false;
  #error: Error | undefined;
  /** A verdict takes more bytes than there are. */
  #wantsMore = false;
  /** While somebody waits for a verdict: something has come. */
  #onChange = NOBODY_WAITS;
  #timer: NodeJS.Timeout | undefined;

  constructor(inner: End) {
    this.#inner = inner;
    inner.start({
      onData: (chunk, release) => this.#onData(chunk, release),
      onEnd: () => this.#onEnd(),
      onDrain: () => this.#taken?.onDrain(),
      onClosed: (error) => this.#onClosed(error),
    });
  }

  get bytesRead(): number {
    return this.#inner.bytesRead;
  }

  /** Whether it is gone already. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether nothing has come, something still may, and nobody has taken it. */
  get isSilent(): boolean {
    const over = this.#ended || this.#closed || this.#taken !== undefined;
    return this.#held.length === 0 && !over;
  }

  /**
   * Resolves with the judge's verdict, at the latest after `timeoutMs`, when it is asked with
   * `over`. Never, where the end is taken before. Not to be called once it has been.
   */
  peek<Verdict>(judge: Judge<Verdict>, timeoutMs: number): Promise<Verdict | undefined> {
    const { promise, resolve } = Promise.withResolvers<Verdict | undefined>();
    const look = (over: boolean): void => {
      const last = over || this.#ended || this.#closed;
      const verdict = judge(this.#held, last);
      this.#wantsMore = verdict === undefined && !last;
      if (this.#wantsMore) return;
      this.#stopWaiting();
      resolve(verdict);
    };
    this.#timer = setTimeout(() => look(true), timeoutMs);
    this.#onChange = () => look(false);
    look(false);
    if (this.#wantsMore) this.#inner.resume();
    return promise;
  }

  start(events: EndEvents): void {
    this.#taken = events;
    this.#stopWaiting();
    const held = this.#held;
    this.#held = new Uint8Array(0);
    const more = held.length === 0 || events.onData(held, undefined);
    if (this.#ended) events.onEnd();
    if (this.#closed) events.onClosed(this.#error);
    else if (more) this.#inner.resume();
  }

  write(chunk: Uint8Array, release: (() => void) | undefined): boolean {
    return this.#inner.write(chunk, release);
  }

  shutdown(): void {
    this.#inner.shutdown();
  }

  resume(): void {
    this.#inner.resume();
  }

  probe(): void {
    this.#inner.probe();
  }

  reset(): void {
    this.#inner.reset();
  }

  #stopWaiting(): void {
    clearTimeout(this.#timer);
    this.#onChange = NOBODY_WAITS;
    this.#wantsMore = false;
  }

  #onData(chunk: Uint8Array, release: (() => void) | undefined): boolean {
    if (this.#taken !== undefined) return this.#taken.onData(chunk, release);
    this.#held = Buffer.concat([this.#held, chunk]);
    release?.();
    this.#onChange();
    // What nobody asks for waits at its peer.
    return this.#wantsMore;
  }

  #onEnd(): void {
    this.#ended = true;
    if (this.#taken === undefined) this.#onChange();
    else this.#taken.onEnd();
  }

  #onClosed(error: Error | undefined): void {
    this.#closed = true;
    this.#error = error;
    if (this.#taken === undefined) this.#onChange();
    else this.#taken.onClosed(error);
  }
}

const NOBODY_WAITS = (): void => undefined;
