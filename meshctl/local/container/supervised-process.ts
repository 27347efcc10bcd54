/**
 * A process that is kept as its restart policy says: started, watched, started again with back-off,
 * stopped with a grace period. A container of a pod and a ztunnel are both one of these.
 */
import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import type { Readable } from "node:stream";
import { Backoff, type BackoffOptions } from "#common/runtime/backoff.ts";
import { CONTAINER_BACKOFF_RESET_MS } from "#meshctl/local/limits.ts";
import { previousLog } from "#meshctl/local/paths.ts";

export interface ProcessSpec {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Standard output and error, appended; the log of the run before is kept beside it. */
  readonly log: string;
  readonly restart: "Always" | "OnFailure" | "Never";
  /** `argv` is an nsenter that forks: signals go to its child. */
  readonly wrapped: boolean;
  readonly backoff: BackoffOptions;
  /**
   * Gives the process descriptor `READINESS_FD`, on which it writes a newline when it is ready (the
   * notification-fd of s6). @default false
   */
  readonly notifies?: boolean;
}

/** Where a process that `notifies` says that it is ready. */
export const READINESS_FD = 3;

/** Kubernetes' reason of a container that has ended and waits for its next start. */
export const CRASH_LOOP = "CrashLoopBackOff";

export type ProcessState =
  | { readonly kind: "waiting"; readonly reason: string; readonly message: string }
  | { readonly kind: "running"; readonly pid: number; readonly startedAt: Date }
  | {
      readonly kind: "terminated";
      readonly exitCode: number;
      readonly signal: string | undefined;
      readonly finishedAt: Date;
    };

export class SupervisedProcess {
  #spec: ProcessSpec;
  readonly #onChange: () => void;
  readonly #backoff: Backoff;
  #state: ProcessState = { kind: "waiting", reason: "ContainerCreating", message: "" };
  #last: ProcessState | undefined;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopping = false;
  #restarts = 0;
  #notified = false;

  /** `onChange` is called after each change of state, never from within a call of this object. */
  constructor(spec: ProcessSpec, onChange: () => void) {
    this.#spec = spec;
    this.#onChange = onChange;
    this.#backoff = new Backoff(spec.backoff);
  }

  get state(): ProcessState {
    return this.#state;
  }
  /** How the run before this one ended. */
  get lastTermination(): ProcessState | undefined {
    return this.#last;
  }
  get restarts(): number {
    return this.#restarts;
  }
  /** The process that `signal` would reach; undefined while there is none. */
  get pid(): number | undefined {
    const pid = this.#state.kind === "running" ? this.#state.pid : undefined;
    return pid === undefined || !this.#spec.wrapped ? pid : firstChild(pid);
  }

  /** Whether the process of this run has said that it is ready. */
  get notified(): boolean {
    return this.#notified;
  }

  start(): void {
    this.#timer = undefined;
    this.#notified = false;
    const { argv, env, log, notifies = false } = this.#spec;
    const [file = "", ...args] = argv;
    mkdirSync(dirname(log), { recursive: true });
    if (this.#last !== undefined && existsSync(log)) renameSync(log, previousLog(log));
    const fd = openSync(log, "a");
    // A session of its own: a Ctrl-C at the terminal of `meshctl up` must not reach it.
    const stdio: StdioOptions = ["ignore", fd, fd, ...(notifies ? (["pipe"] as const) : [])];
    const child = spawn(file, args, { env, stdio, detached: true });
    closeSync(fd);
    this.#child = child;
    if (notifies) this.#awaitNotice(child);
    const startedAt = new Date();
    child.on("error", () => this.#onExit(child, startedAt, 127, undefined));
    child.on("exit", (code, signal) => {
      this.#onExit(child, startedAt, code ?? 128, signal ?? undefined);
    });
    if (child.pid !== undefined) this.#state = { kind: "running", pid: child.pid, startedAt };
    queueMicrotask(this.#onChange);
  }

  #awaitNotice(child: ChildProcess): void {
    const notices = child.stdio[READINESS_FD] as Readable | null;
    notices?.on("error", () => undefined);
    notices?.once("data", () => {
      if (this.#child !== child) return;
      this.#notified = true;
      this.#onChange();
    });
  }

  /** What the next start runs. */
  update(spec: Partial<ProcessSpec>): void {
    this.#spec = { ...this.#spec, ...spec };
  }

  /** False where there is nothing to signal. */
  signal(signal: NodeJS.Signals): boolean {
    const { pid } = this;
    if (pid === undefined) return false;
    return sendSignal(pid, signal);
  }

  /**
   * SIGTERM, then SIGKILL to the whole session's group; the restart policy then says what follows.
   */
  async terminate(graceMs: number): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => void child.once("exit", () => resolve()));
    if (graceMs > 0 && this.signal("SIGTERM")) {
      const timer = setTimeout(() => this.#kill(child), graceMs);
      await gone;
      clearTimeout(timer);
    } else {
      this.#kill(child);
      await gone;
    }
  }

  /** Ends the process for good. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    await this.terminate(graceMs);
  }

  /**
   * A wrapped process itself first: its nsenter then ends with it, and nobody is left an orphan.
   */
  #kill(child: ChildProcess): void {
    if (!this.#spec.wrapped || !this.signal("SIGKILL")) killGroup(child);
  }

  #onExit(child: ChildProcess, startedAt: Date, code: number, signal: string | undefined): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    killGroup(child);
    const finishedAt = new Date();
    this.#state = { kind: "terminated", exitCode: code, signal, finishedAt };
    this.#last = this.#state;
    if (finishedAt.getTime() - startedAt.getTime() > CONTAINER_BACKOFF_RESET_MS) {
      this.#backoff.reset();
    }
    const { restart } = this.#spec;
    const failed = code !== 0 || signal !== undefined;
    if (!this.#stopping && (restart === "Always" || (restart === "OnFailure" && failed))) {
      this.#restartLater(code, signal);
    }
    queueMicrotask(this.#onChange);
  }

  #restartLater(code: number, signal: string | undefined): void {
    const delayMs = this.#backoff.next();
    const how = signal === undefined ? `exited with status ${code}` : `was ended by ${signal}`;
    const message = `${how}; next start in ${(delayMs / 1000).toFixed(1)} s`;
    this.#state = { kind: "waiting", reason: CRASH_LOOP, message };
    this.#timer = setTimeout(() => {
      this.#restarts++;
      this.start();
    }, delayMs);
  }
}

/** What the process left behind in its process group. */
function killGroup(child: ChildProcess): void {
  if (child.pid !== undefined) sendSignal(-child.pid, "SIGKILL");
}

function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false; // It is gone already: what was asked for.
  }
}

function firstChild(pid: number): number | undefined {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
    return children === "" ? undefined : Number.parseInt(children, 10);
  } catch {
    return undefined; // It ended between the two looks.
  }
}
