/** Polling with a deadline: how tests and the harness wait for anything. */
import { setTimeout as delay } from "node:timers/promises";
import { MeshError } from "#common/runtime/errors.ts";

export interface WaitOptions {
  /** 60 s unless said otherwise: machines may be ten times slower than the author's. */
  readonly timeoutMs?: number;
  readonly everyMs?: number;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const DEFAULT_EVERY_MS = 100;

/**
 * Resolves with the first value of `look` that is neither undefined nor false; a throw counts as
 * "not yet". Past the deadline throws MeshError KUBERNETES_WAIT with the last throw as its cause.
 */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  options: WaitOptions = {},
): Promise<T> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, everyMs = DEFAULT_EVERY_MS } = options;
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  while (true) {
    try {
      const seen = await look();
      if (seen !== undefined && seen !== false) return seen;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= deadline) {
      const message = `waited ${timeoutMs / 1000} s in vain for ${what}`;
      throw new MeshError("KUBERNETES_WAIT", message, { cause });
    }
    await delay(everyMs);
  }
}
