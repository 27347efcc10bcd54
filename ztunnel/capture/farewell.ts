/** Pods that are let go of for good, because they or the whole node leave the mesh. */
import { setTimeout as sleep } from "node:timers/promises";
import { describeError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { type Entry, nameOf } from "./capture-entry.ts";

/** Never rejects: a pod that cannot be let go of is named. */
export async function releaseNow({ pod, capture }: Entry, log: Logger): Promise<void> {
  try {
    await capture.release();
  } catch (error) {
    const fields = { pod: nameOf(pod), error: describeError(error) };
    log.warn("a pod that left the mesh keeps the mesh's rules", fields);
  }
}

/**
 * Lets all of them go: first new connections pass ztunnel by, which `tell` says to whoever sends;
 * all the rest goes after a while, in which they hear of it. Never rejects.
 */
export async function bidFarewell(
  entries: readonly Entry[],
  log: Logger,
  tell: (entry: Entry) => void,
): Promise<void> {
  const rests = await Promise.all(
    entries.map((entry) => {
      // What is wrong shows, and is said, when it is released.
      return entry.capture.retire().catch(() => 0);
    }),
  );
  for (const entry of entries) tell(entry);
  await sleep(Math.max(0, ...rests));
  await Promise.all(entries.map((entry) => releaseNow(entry, log)));
}
