/** Every bound of capture, and what happens at it. Those of the whole of ztunnel: ../limits.ts. */

/** Pods captured, checked or released at once; further pods wait their turn. */
export const CAPTURE_CONCURRENCY = 8;

/** One run of `nft` or `ip`; after it the process is killed and the attempt has failed. */
export const NETNS_COMMAND_TIMEOUT_MS = 10_000;

/**
 * Output of one command, which may list a pod's own rules besides ours; beyond it the command
 * fails.
 */
export const NETNS_COMMAND_OUTPUT_BYTES = 4 * 1024 * 1024;

/**
 * Captured pods are looked at this often at most, whatever is heard of them, each with a jitter of
 * a quarter downwards: for dead listeners, and for changes that no event told of. Measured: 0.2 ms
 * a look, 0.13 ms of CPU per pod and second with 100 pods, 6 descriptors per pod.
 */
export const CAPTURE_CHECK_INTERVAL_MS = 4_000;

/**
 * Every so many looks, and after each event, all is looked at: rules, routes, addresses: 0.5 ms,
 * and 1 ms more where the rules have changed.
 */
export const CAPTURE_FULL_CHECK_EVERY = 8;

/**
 * After a change in a pod's namespace its next ones are not heard for so long: a process that
 * changes rules or routes without end makes ten looks per second, no more.
 */
export const CAPTURE_EVENT_PAUSE_MS = 100;

/**
 * What somebody takes away is put back at once, so often; then once in this time, and the pod is
 * reported as unstable until a burst's worth of time has passed in peace.
 */
export const REPAIR_BURST = 5;
export const REPAIR_INTERVAL_MS = 3_000;

/**
 * A pod that leaves the mesh is still served so long on connections that come through the mesh: by
 * then those who send have heard of it. What stands after that is reset.
 */
export const RETIREMENT_MS = 2_000;

/**
 * A later ztunnel that listens in a pod is left alone with its rules for so long. One that has not
 * replaced this one by then will not, and two of different versions would undo each other's rules.
 */
export const SUCCESSION_MS = 60_000;

/** Attempts in a row that fail until a pod counts as failed and no longer as pending. */
export const CAPTURE_FAILED_AFTER = 3;

/**
 * Connections from before its capture that a pod may keep through a repair; further ones are ended
 * with those that were opened in between.
 */
export const UNCAPTURED_CONNECTIONS_KEPT = 16_384;

/** Connections ended in one go; then others have their turn. */
export const CONNECTIONS_ENDED_PER_TURN = 128;

/** Callers tried until the kernel's look-up finds a foreign listener among those of its port. */
export const LISTENER_EVICTION_ATTEMPTS = 64;

/** Between attempts to capture a pod. */
export const CAPTURE_BACKOFF_INITIAL_MS = 250;
export const CAPTURE_BACKOFF_MAX_MS = 15_000;

/** Changes of pod states are collected this long and reported together. */
export const CAPTURE_REPORT_DELAY_MS = 50;
