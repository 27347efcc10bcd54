/**
 * Tells a supervisor that this program is ready, by a newline on a descriptor that it was given
 * (the notification-fd of s6): a supervisor that replaces one process by another on the same ports
 * cannot ask by HTTP which of the two is answering.
 */
import fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { MeshError } from "./errors.ts";
import { READINESS_POLL_MS } from "./limits.ts";

/** Writes to `fd` and closes it once `pending` has nothing left; gives up when `signal` aborts. */
export async function notifyWhenReady(
  fd: number,
  pending: () => readonly string[],
  signal: AbortSignal,
): Promise<void> {
  while (pending().length > 0) {
    if (signal.aborted) return;
    await sleep(READINESS_POLL_MS, undefined, { ref: false });
  }
  try {
    fs.writeSync(fd, "\n");
    fs.closeSync(fd);
  } catch (cause) {
    const message = `nobody can be told on descriptor ${fd} that this program is ready`;
    throw new MeshError("READINESS_FD", message, { cause });
  }
}
