/** The bounds of authorization. */

/** Rules looked at for the nearest miss of a refusal: a hint must not cost more than the check. */
export const NEAREST_MISS_RULES = 64;

/**
 * Rules under one value of the index that are simply tried in turn; with more, they are told apart
 * by another clause.
 */
export const LINEAR_RULES = 8;

/** How long L7 policies are compiled without a pause; then others get their turn. */
export const COMPILE_SLICE_MS = 4;
