/** One long-running program of a cluster: started, ended and started again. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { childOf, type Namespaces } from "./namespaces.ts";
import { waitFor } from "./wait-for.ts";

export class Daemon {
  readonly name: string;
  readonly #namespaces: Namespaces;
  readonly #argv: readonly string[];
  #child: ChildProcess | undefined;

  /** Its log is NAME.log; `name` is unique in the cluster. */
  constructor(name: string, namespaces: Namespaces, argv: readonly string[]) {
    this.name = name;
    this.#namespaces = namespaces;
    this.#argv = argv;
  }

  start(): void {
    if (this.isRunning()) throw new Error(`${this.name} runs already`);
    this.#child = this.#namespaces.spawn(this.#argv, this.name);
  }

  isRunning(): boolean {
    const child = this.#child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** Its process as this one sees it. */
  pid(): Promise<number> {
    return waitFor(`a process of ${this.name}`, () => childOf(this.#child?.pid ?? 0), {
      everyMs: 10,
    });
  }

  async signal(signal: NodeJS.Signals): Promise<void> {
    process.kill(await this.pid(), signal);
  }

  /** SIGTERM unless said otherwise; resolves when it has ended. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.isRunning()) return;
    child.ref();
    const ended = once(child, "exit");
    await this.signal(signal);
    await ended;
  }

  async restart(signal?: NodeJS.Signals): Promise<void> {
    await this.stop(signal);
    this.start();
  }
}
