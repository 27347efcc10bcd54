/** Waits for what others bring about. */
import { setTimeout as sleep } from "node:timers/promises";

export interface Patience {
  readonly timeoutMs: number;
  /** Between two looks. */
  readonly pollMs: number;
}

/**
 * Looks again and again, until nothing is missing: `look` says what is, for people, or undefined.
 * When the time is up it throws what `late` makes of what was missing last.
 */
export async function until(
  { timeoutMs, pollMs }: Patience,
  look: () => Promise<string | undefined>,
  late: (missing: string) => Error | Promise<Error>,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const missing = await look();
    if (missing === undefined) return;
    if (performance.now() > deadline) throw await late(missing);
    await sleep(pollMs);
  }
}
