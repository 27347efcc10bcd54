/** Every bound of what ztunnel does on a Kubernetes node, and what happens at it. */

/**
 * Walks through /proc are this far apart at least; a pod that is looked for sooner is looked for in
 * what the last walk found.
 */
export const WALK_INTERVAL_MS = 200;

/**
 * Processes of no pod are read again after this, by the first walk that is needed then: their ids
 * may have been given to others. 20 ms of reading per 1,000 processes.
 */
export const FULL_WALK_INTERVAL_MS = 30_000;

/** Processes read at once in a walk; then others have their turn. */
export const PROCESSES_PER_TURN = 64;

/** Candidates of one pod whose namespaces are looked into; further ones are ignored. */
export const CANDIDATES_PER_POD = 64;
