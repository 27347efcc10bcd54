/** What a fuzz target is: one reader of untrusted input, and what has to hold of any input. */
import assert from "node:assert/strict";
import type fc from "fast-check";
import { MeshError } from "#common/runtime/errors.ts";

/** Beyond this, messages differ by what they quote. */
const MAX_OUTCOME_CHARACTERS = 30;

export interface FuzzTarget {
  /** Kebab-case: what is typed after `--target`, and the folder of its kept cases. */
  readonly name: string;
  /** Good inputs, and ones that went wrong once: mutations begin with them. */
  readonly corpus: readonly Uint8Array[];
  /** What the format is made of; mutations put it anywhere. */
  readonly words?: readonly (string | Uint8Array)[];
  /** Good inputs of all kinds, made from a seed. */
  readonly generated?: fc.Arbitrary<Uint8Array>;
  /** Longest input, in bytes. @default DEFAULT_INPUT_BYTES */
  readonly maxBytes?: number;
  /**
   * Throws if the input shows a fault. Returns what sort of answer there was: an input with an
   * answer that was not seen before is mutated further.
   */
  readonly check: (input: Buffer) => string;
}

/**
 * Runs a reader that may refuse its input with a MeshError and nothing else. Returns its value, or
 * the code of the refusal.
 */
export function readOrRefusal<Value>(
  read: () => Value,
): { readonly value: Value } | { readonly refusal: string } {
  try {
    return { value: read() };
  } catch (error) {
    if (error instanceof MeshError) return { refusal: outcomeOf(error) };
    throw error;
  }
}

/** A refusal without the parts that come from the input. */
function outcomeOf({ code, message }: MeshError): string {
  return `${code}: ${message.replace(/["=:].*|\d+/gs, "_").slice(0, MAX_OUTCOME_CHARACTERS)}`;
}

/** For readers whose value can be written again: what was written reads as the same value. */
export function checkStable<Value>(
  input: Buffer,
  read: (bytes: Uint8Array) => Value,
  write: (value: Value) => Uint8Array,
): string {
  const first = readOrRefusal(() => read(input));
  if ("refusal" in first) return first.refusal;
  const written = write(first.value);
  assert.deepEqual(read(written), first.value, "what was read, written and read again differs");
  assert.deepEqual(write(read(written)), written, "writing twice differs");
  return "read";
}
