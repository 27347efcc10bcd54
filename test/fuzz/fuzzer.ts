/**
 * Runs fuzz jobs in a thread and watches over it. An input that takes too much CPU time is a
 * finding too: the clock would find hangs on a busy machine that are none.
 */
import { Worker } from "node:worker_threads";
import type { Finding } from "./fuzz-session.ts";
import { MAX_INPUT_CPU_MS, WATCHDOG_MS } from "./limits.ts";
import { SharedInput } from "./shared-input.ts";
import type { Job, JobResult, WorkerData } from "./worker-messages.ts";

/** Longer than the longest input of any target. */
const SHARED_BYTES = 1 << 20;

export class Fuzzer implements AsyncDisposable {
  #thread: { readonly worker: Worker; readonly shared: SharedInput } | undefined;

  /** One job at a time. Rejects where the thread itself fails. */
  async run(job: Job): Promise<JobResult> {
    this.#thread ??= startThread();
    const { worker, shared } = this.#thread;
    const ended = new AbortController();
    try {
      return await Promise.race([
        answerOf(worker, ended.signal, job),
        hang(shared, ended.signal, job),
      ]);
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw error;
    } finally {
      ended.abort();
      // A thread that hangs is of no more use.
      if (shared.number !== undefined) await this[Symbol.asyncDispose]();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    await thread?.worker.terminate();
  }
}

function startThread() {
  const shared = SharedInput.create(SHARED_BYTES);
  const workerData: WorkerData = { input: shared.buffer };
  const worker = new Worker(new URL("worker.ts", import.meta.url), { workerData });
  return { worker, shared };
}

function answerOf(worker: Worker, signal: AbortSignal, job: Job): Promise<JobResult> {
  return new Promise((resolve, reject) => {
    const onMessage = (result: JobResult) => resolve(withBuffer(result));
    worker.once("message", onMessage).once("error", reject);
    signal.addEventListener("abort", () => worker.off("message", onMessage).off("error", reject));
    worker.postMessage(job);
  });
}

/** A Buffer comes through as plain bytes. */
function withBuffer({ finding, ...counts }: JobResult): JobResult {
  if (finding === undefined) return counts;
  return { ...counts, finding: { ...finding, input: Buffer.from(finding.input) } };
}

/** Resolves when one input has taken too long. The other thread of this process only waits. */
function hang(shared: SharedInput, signal: AbortSignal, job: Job): Promise<JobResult> {
  return new Promise((resolve) => {
    let last: number | undefined;
    let since = process.cpuUsage();
    const timer = setInterval(() => {
      const { number } = shared;
      if (number === undefined || number !== last) {
        last = number;
        since = process.cpuUsage();
        return;
      }
      const { user, system } = process.cpuUsage(since);
      if (user + system > MAX_INPUT_CPU_MS * 1000)
        resolve({ tried: 0, outcomes: 0, finding: hung() });
    }, WATCHDOG_MS);
    signal.addEventListener("abort", () => clearInterval(timer));
    const hung = (): Finding => ({
      target: job.target,
      seed: job.seed,
      index: (last ?? 1) - 1,
      input: shared.read(),
      error: `it took more than ${MAX_INPUT_CPU_MS} ms of CPU time`,
    });
  });
}
