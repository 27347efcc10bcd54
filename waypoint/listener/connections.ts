/** The clients' connections that stand: counted against their bound, and brought to an end. */
import type { ServerConnection } from "../http/engine.ts";

export class Connections {
  readonly #standing = new Set<ServerConnection>();
  readonly #idleWaiters: (() => void)[] = [];
  /** Accepted, and not handed over to whoever serves it yet. */
  #undecided = 0;
  #draining = false;

  get size(): number {
    return this.#standing.size + this.#undecided;
  }

  /** What comes while the others are drained is so, too. */
  add(connection: ServerConnection): void {
    this.#standing.add(connection);
    if (this.#draining) connection.drain();
  }

  delete(connection: ServerConnection): void {
    this.#standing.delete(connection);
    this.#tellIfIdle();
  }

  accepted(): void {
    this.#undecided++;
  }

  decided(): void {
    this.#undecided--;
    this.#tellIfIdle();
  }

  /** Each ends when what is under way on it is over. */
  drain(): void {
    this.#draining = true;
    for (const connection of [...this.#standing]) connection.drain();
  }

  destroy(): void {
    for (const connection of [...this.#standing]) connection.destroy();
  }

  /** Resolves when none is left, nor one on its way to be. */
  whenIdle(): Promise<void> {
    if (this.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  #tellIfIdle(): void {
    if (this.size > 0) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }
}
