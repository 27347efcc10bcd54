/** Bounds of compiled routes, and what happens at them. */

/**
 * Matches in one table. A larger one is refused with INVALID_RESOURCE, and the table before it
 * stays in force.
 */
export const TABLE_MATCHES = 1 << 20;

/** Longest regular expression. A longer one matches nothing, and is reported. */
export const REGEX_CHARACTERS = 4_096;

/**
 * Instructions of a compiled regular expression; time to match goes with it. A larger one matches
 * nothing, and is reported.
 */
export const REGEX_PROGRAM_SIZE = 5_000;

/** Time that compiling takes before it lets others run; then it goes on in the next round. */
export const COMPILE_SLICE_MS = 2;
