/** Bounds of what is made of routes. */

/** Issues told in full in a condition; the others are counted, for a status is no log. */
export const ROUTE_ISSUES_TOLD = 8;

/** More retries than a waypoint takes for one request are cut to this many. */
export const MAX_RETRY_ATTEMPTS = 100;

/**
 * Instructions of a compiled regular expression, as many as the waypoint takes: a match with a
 * larger one would match nothing there, so the rule is refused here.
 */
export const REGEX_PROGRAM_SIZE = 5_000;
