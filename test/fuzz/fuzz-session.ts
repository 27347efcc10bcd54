/**
 * Fuzzing one target: makes inputs, tries them, and makes the first one that shows a fault as small
 * as it gets. The same seed makes the same inputs.
 */
import fc from "fast-check";
import type { FuzzTarget } from "./fuzz-target.ts";
import {
  DEFAULT_INPUT_BYTES,
  GENERATED_AT_ONCE,
  INPUTS_PER_GENERATION,
  MAX_MINIMISE_TRIES,
  MAX_POOL,
} from "./limits.ts";
import { minimise } from "./minimise.ts";
import { mutate } from "./mutate.ts";
import { Random } from "./random.ts";

export interface Finding {
  readonly target: string;
  readonly seed: number;
  /** The number of the input under this seed, from 0. */
  readonly index: number;
  /** As small as it got. */
  readonly input: Buffer;
  /** What went wrong, with its stack. */
  readonly error: string;
}

export interface SessionOptions {
  readonly target: FuzzTarget;
  readonly seed: number;
  /** Asked before each input, with the number of those that were tried. */
  readonly goOn: (tried: number) => boolean;
  /** Told of each input before it is tried, for whoever watches over hangs. */
  readonly onInput?: (input: Buffer) => void;
}

export interface SessionResult {
  readonly tried: number;
  /** Sorts of answers that were seen. */
  readonly outcomes: number;
  readonly finding?: Finding;
}

export function runSession(options: SessionOptions): SessionResult {
  const { target, seed, goOn, onInput = () => undefined } = options;
  const inputs = new Inputs(target, seed);
  const outcomes = new Set<string>();
  let tried = 0;
  for (; goOn(tried); tried++) {
    const input = inputs.next(tried);
    onInput(input);
    try {
      const outcome = target.check(input);
      if (!outcomes.has(outcome)) inputs.keep(input);
      outcomes.add(outcome);
    } catch (error) {
      const small = minimise(
        input,
        (candidate) => {
          onInput(candidate);
          return failsAlike(target, candidate, error);
        },
        MAX_MINIMISE_TRIES,
      );
      const finding = { target: target.name, seed, index: tried, input: small, error: text(error) };
      return { tried: tried + 1, outcomes: outcomes.size, finding };
    }
  }
  return { tried, outcomes: outcomes.size };
}

class Inputs {
  readonly #target: FuzzTarget;
  readonly #seed: number;
  readonly #random: Random;
  readonly #words: readonly Uint8Array[];
  readonly #kept: Uint8Array[];
  #generated: readonly Uint8Array[] = [];

  constructor(target: FuzzTarget, seed: number) {
    this.#target = target;
    this.#seed = seed;
    this.#random = new Random(seed);
    this.#words = (target.words ?? []).map((word) => Buffer.from(word as string));
    this.#kept = [...target.corpus];
  }

  /** An input that had an answer of its own. */
  keep(input: Uint8Array): void {
    if (this.#kept.length < MAX_POOL) this.#kept.push(Buffer.from(input));
  }

  /** The corpus as it is first, then mutations. */
  next(index: number): Buffer {
    const { corpus, maxBytes = DEFAULT_INPUT_BYTES } = this.#target;
    const asItIs = corpus[index];
    if (asItIs !== undefined) return Buffer.from(asItIs);
    if (index % INPUTS_PER_GENERATION === 0) this.#generate(index);
    const pool =
      this.#generated.length > 0 && this.#random.chance(2) ? this.#generated : this.#kept;
    const material = { pool, words: this.#words, maxBytes };
    return mutate(this.#random.pick(pool), this.#random, material);
  }

  #generate(index: number): void {
    const { generated } = this.#target;
    if (generated === undefined) return;
    const seed = (this.#seed + index) | 0;
    this.#generated = fc.sample(generated, { seed, numRuns: GENERATED_AT_ONCE });
  }
}

/** Whether a smaller input fails in the same way: another fault is another finding. */
function failsAlike(target: FuzzTarget, input: Buffer, original: unknown): boolean {
  try {
    target.check(input);
    return false;
  } catch (error) {
    return kindOf(error) === kindOf(original);
  }
}

/** The error's class and the place in the code that threw it. */
function kindOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const frame = /\n\s+at .*?([^/\s(]+:\d+):\d+\)?/.exec(error.stack ?? "")?.[1] ?? "";
  return `${error.name} ${frame}`;
}

function text(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
