/** Waiting that a stop ends. */
import { setTimeout as sleep } from "node:timers/promises";

/** Resolves after so many milliseconds, or when the signal aborts. Never rejects. */
export async function pause(
  milliseconds: number,
  signal: AbortSignal,
  /** `ref`: whether the process stays for it. */
  { ref = true }: { readonly ref?: boolean } = {},
): Promise<void> {
  await sleep(milliseconds, undefined, { signal, ref }).catch(() => undefined);
}
