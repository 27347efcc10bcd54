/** Every bound of the commands, with what happens at the bound. */

/** `meshctl down` fails where a cluster is not gone after this. */
export const CLUSTER_STOP_TIMEOUT_MS = 10_000;

/** One command of the demo; after it the command counts as failed. */
export const DEMO_COMMAND_TIMEOUT_MS = 15_000;

/** What the demo waits for has to come true within this; else it ends and says what did not. */
export const DEMO_WAIT_MS = 60_000;

/** A ztunnel's admin port that does not begin to answer, or stops, counts as silent after this. */
export const ADMIN_TIMEOUT_MS = 15_000;
/** A dump above this is not read: 100,000 workloads with their services are a quarter of it. */
export const DUMP_MAX_BYTES = 512 * 1024 * 1024;

/**
 * How long `meshctl waypoint` waits for a waypoint to be programmed. Source: istioctl's
 * --waypoint-timeout.
 */
export const WAYPOINT_TIMEOUT_MS = 90_000;

/** How often it looks meanwhile. */
export const WAYPOINT_POLL_MS = 100;
