/** Requests from a pod, one after another in a few rows, while something happens to the mesh. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Call, PodSockets, Target } from "#test/support/pod-sockets.ts";

export interface TrafficOptions {
  /** Requests under way at once; 4 unless given. */
  readonly rows?: number;
  /** Between two requests of a row; 5 ms unless given. */
  readonly pauseMs?: number;
}

/** `performance.now()` at both of its ends. */
export interface TimedCall extends Call {
  readonly startedAt: number;
  readonly endedAt: number;
}

/** Longer than any wait of a ztunnel: what takes so long hangs. */
const CALL_TIMEOUT_MS = 15_000;

export class Traffic {
  readonly #calls: TimedCall[] = [];
  readonly #rows: Promise<void>[];
  #stopping = false;

  constructor(sockets: PodSockets, from: string, target: Target, options: TrafficOptions = {}) {
    const { rows = 4, pauseMs = 5 } = options;
    this.#rows = Array.from({ length: rows }, async () => {
      while (!this.#stopping) {
        const startedAt = performance.now();
        const call = await callInTime(sockets, from, target);
        this.#calls.push({ ...call, startedAt, endedAt: performance.now() });
        await sleep(pauseMs);
      }
    });
  }

  /** What became of each request so far, in the order in which they ended. */
  get calls(): readonly TimedCall[] {
    return this.#calls;
  }

  /** Lets the requests under way come to their end. */
  async stop(): Promise<readonly TimedCall[]> {
    this.#stopping = true;
    await Promise.all(this.#rows);
    return this.#calls;
  }
}

/** One call; "hung" is how it ended if it did not end in time. */
async function callInTime(sockets: PodSockets, from: string, target: Target): Promise<Call> {
  let timer: NodeJS.Timeout | undefined;
  const hung = new Promise<Call>((resolve) => {
    const late = { how: "hung", received: Buffer.alloc(0), source: "" };
    timer = setTimeout(() => resolve(late), CALL_TIMEOUT_MS);
  });
  try {
    // Thousands of calls: more than there are ports for one each.
    const call = sockets.caller(from).then((one) => one(target, "?"));
    return await Promise.race([call, hung]);
  } finally {
    clearTimeout(timer);
  }
}

/** How calls ended that were not answered, and how many each: empty if all were. */
export function failures(calls: readonly Call[], isAnswer: (text: string) => boolean) {
  const counts: Record<string, number> = {};
  for (const { how, received } of calls) {
    if (how === "end" && isAnswer(String(received))) continue;
    const outcome = `${how} after ${JSON.stringify(String(received))}`;
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  return counts;
}
