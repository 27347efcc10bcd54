/** The bounds of authorization. */

/** Rules looked at for the nearest miss of a refusal: a hint must not cost more than the check. */
export const NEAREST_MISS_RULES = 64;

/** Up to this many rules are simply tried in turn, which is cheaper than look-ups in an index. */
export const LINEAR_RULES = 8;
