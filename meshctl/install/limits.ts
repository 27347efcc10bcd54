/** Bounds of installing, and what happens at each. */

/** A CRD that is not served by then fails the installation. */
export const CRD_ESTABLISHED_TIMEOUT_MS = 30_000;

/** How often an object is looked at while its change is waited for. */
export const INSTALL_POLL_MS = 250;

/** A rollout that makes no step for so long has its pods' reasons told, each once. */
export const ROLLOUT_QUIET_MS = 5_000;

/** A rollout that is not over by then fails, with what its pods say (`--timeout`). */
export const ROLLOUT_TIMEOUT_MS = 300_000;

/** A webhook that nobody answers by then is told of, and the installation goes on. */
export const WEBHOOK_TIMEOUT_MS = 30_000;

/** Pods that are not un-enrolled by then stop an uninstallation (`--timeout`). */
export const UNENROL_TIMEOUT_MS = 120_000;

/** Names listed in one line; how many more there are is said. */
export const NAMES_SHOWN = 5;
