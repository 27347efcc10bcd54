/** Bounds of what a process watches of itself, and what happens at each. */

/** How often a supervisor's descriptor is thought of while the program is not ready. */
export const READINESS_POLL_MS = 20;

/**
 * Shares of the cgroup's memory limit: from the first on no new connection is taken and this
 * program is not ready, until use falls under the second; how often it is looked at.
 */
export const MEMORY_SHORT_SHARE = 0.9;
export const MEMORY_ENOUGH_SHARE = 0.85;
export const MEMORY_CHECK_MS = 250;
