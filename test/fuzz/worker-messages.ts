/** What the fuzzing thread is told, and what it answers. */
import type { SessionResult } from "./fuzz-session.ts";

export interface WorkerData {
  readonly input: SharedArrayBuffer;
}

/** Ends after so many inputs or so many seconds, whichever comes first. */
export interface Job {
  readonly target: string;
  readonly seed: number;
  readonly inputs: number;
  readonly seconds: number;
}

export type JobResult = SessionResult;
