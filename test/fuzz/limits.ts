/** Bounds of the fuzzer, with what happens at each. */

/** Inputs of a target that says nothing are cut to this length: twice the longest header. */
export const DEFAULT_INPUT_BYTES = 16 * 1024;

/** Inputs kept for further mutation; once there are so many, no more are kept. */
export const MAX_POOL = 2_000;

/** Structured inputs that are generated in one go, and replaced by the next. */
export const GENERATED_AT_ONCE = 40;

/** Inputs that are tried before others are generated. */
export const INPUTS_PER_GENERATION = 500;

/** Smaller inputs tried for one finding; then it stays as small as it got. */
export const MAX_MINIMISE_TRIES = 4_000;

/** CPU time that one input may take; one that takes more counts as a hang. */
export const MAX_INPUT_CPU_MS = 10_000;

/** How often the watchdog looks. */
export const WATCHDOG_MS = 250;
