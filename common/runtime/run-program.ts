/**
 * A program from its start to its end: what it says when it cannot go on, and what signals do. The
 * first process of a container gets only those signals that it has asked for, so it asks at once.
 */
import { flushCompileCache } from "node:module";
import { constants } from "node:os";
import { failureText } from "./errors.ts";

/** Ends what was started, in good order. */
export type Stop = () => Promise<void>;

const SIGNALS = ["SIGTERM", "SIGINT"] as const;

/**
 * Starts a program, which a signal then stops. One that is still starting, or is stopping already,
 * is ended by a signal at once, with a shell's status for that. What cannot be started or stopped
 * ends with status 1 and says why.
 */
export async function runProgram(name: string, start: () => Promise<Stop>): Promise<void> {
  let stop: Stop | undefined;
  const onSignal = (signal: (typeof SIGNALS)[number]): void => {
    if (stop === undefined) process.exit(128 + constants.signals[signal]);
    const stopping = stop();
    stop = undefined;
    stopping.then(
      () => process.exit(0),
      (error: unknown) => fail(name, error),
    );
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    stop = await start();
  } catch (error) {
    fail(name, error);
  }
  // Now, and not only at an orderly end: reading TypeScript again costs the next start 30 MB.
  flushCompileCache();
}

function fail(name: string, error: unknown): never {
  process.stderr.write(failureText(name, error));
  process.exit(1);
}
