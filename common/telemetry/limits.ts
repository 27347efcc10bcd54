/** Bounds of telemetry, and what happens at them. */

/**
 * Label sets with counters of their own; the connections of further ones are counted as `unknown`.
 */
export const TRAFFIC_SERIES = 10_000;

/** Interned label sets of one worker; then numbering starts over with those still in use. */
export const INTERNED_LABELS = 4_096;

/** Policies of one kind that a line of the access log names; the metrics count all. */
export const POLICIES_TOLD = 5;

/**
 * Dry-run and AUDIT policies with series of their own; further ones share a series whose policy is
 * "unknown".
 */
export const POLICY_SERIES = 1_000;

/**
 * Log that waits for whoever reads it; beyond it access log lines are left out, beyond twice as
 * much everything is. Both are counted.
 */
export const LOG_QUEUE_BYTES = 4 * 1024 * 1024;
