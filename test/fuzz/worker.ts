/** The thread that fuzzes: what hangs here is seen and ended from outside. */
import { parentPort, workerData } from "node:worker_threads";
import { findTarget } from "./find-target.ts";
import { runSession } from "./fuzz-session.ts";
import { SharedInput } from "./shared-input.ts";
import type { Job, JobResult, WorkerData } from "./worker-messages.ts";

const { input } = workerData as WorkerData;
const shared = SharedInput.over(input);

parentPort?.on("message", (job: Job) => {
  const target = findTarget(job.target);
  const deadline = performance.now() + job.seconds * 1000;
  const { finding, ...counts } = runSession({
    target,
    seed: job.seed,
    goOn: (tried) => tried < job.inputs && performance.now() < deadline,
    onInput: (bytes) => shared.write(bytes),
  });
  shared.rest();
  const result: JobResult = { ...counts, ...(finding && { finding }) };
  parentPort?.postMessage(result);
});
