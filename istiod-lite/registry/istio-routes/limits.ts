/** Bounds of what is said of VirtualServices and DestinationRules. */

/** Remarks told in full in a condition; the others are counted, for a status is no log. */
export const REMARKS_TOLD = 8;

/** Of a wildcard's services: as many are looked at for the status; traffic knows no such bound. */
export const SERVICES_LOOKED_AT = 20;

/** More retries than a waypoint takes for one request are cut to this many. */
export const MAX_RETRY_ATTEMPTS = 100;
