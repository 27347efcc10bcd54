/** Bounds of reading configuration from an API server, and what happens at each. */

/**
 * The server ends a watch after between once and twice this, and it goes on where it was. Source:
 * client-go's minWatchTimeout.
 */
export const WATCH_TIMEOUT_MS = 5 * 60_000;

/** A watch that ended before this is no success: the next one is waited for as after a failure. */
export const WATCH_MIN_MS = 1_000;

/** Pauses, with jitter, between attempts that failed. */
export const RETRY_INITIAL_MS = 100;
export const RETRY_MAX_MS = 10_000;

/** Pauses after an attempt that is not allowed: only a person can help. */
export const DENIED_RETRY_MS = 30_000;

/** Attempts that fail one after the other before the log tells of it: a restart is no news. */
export const FAILURES_BEFORE_TOLD = 2;

/**
 * A list without any of the objects of a kind that were there is asked for again after this, and
 * believed when it says so twice.
 */
export const CONFIRM_LIST_MS = 2_000;

/** Objects that were refused, and of which the reason is remembered; further ones are counted. */
export const REFUSED_OBJECTS_TOLD = 1_000;

/** Different warnings about objects that are remembered, so that each is told once. */
export const WARNINGS_REMEMBERED = 1_000;

/** Characters of a ConfigMap's value; longer ones are left out: nothing that is read is so long. */
export const CONFIG_MAP_VALUE_CHARACTERS = 256 * 1024;

/**
 * How often the webhook's registration is looked at, and how soon after another CA is in force:
 * until then the API server cannot call the webhook, and lets objects in unseen.
 */
export const WEBHOOK_REGISTRATION_CHECK_MS = 15_000;
export const WEBHOOK_REGISTRATION_TICK_MS = 1_000;
