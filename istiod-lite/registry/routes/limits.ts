/** Bounds of what is made of routes. */

/** Issues told in full in a condition; the others are counted, for a status is no log. */
export const ROUTE_ISSUES_TOLD = 8;

/** More retries than a waypoint takes for one request are cut to this many. */
export const MAX_RETRY_ATTEMPTS = 100;
