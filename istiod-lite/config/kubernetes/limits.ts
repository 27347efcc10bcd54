/** Bounds of what istiod-lite asks of an API server, and what happens at each. */

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

/**
 * Attempts of a kind that are not allowed, one after the other, until that is believed and told. An
 * API server that has just started denies everybody everything until it has read its roles.
 */
export const DENIALS_BEFORE_BELIEVED = 6;

/** Pauses after an attempt that is not allowed, once that is believed: only a person can help. */
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

/** One that is not there yet is looked for this often: an installation brings it last. */
export const WEBHOOK_ABSENT_CHECK_MS = 2_000;

// --- writing
// ----------------------------------------------------------------------------------------

/** Source: client-go's LeaderElectionConfig: duration, renew deadline and retry period. */
export const LEASE_DURATION_MS = 15_000;
export const LEASE_RENEW_DEADLINE_MS = 10_000;
export const LEASE_RETRY_MS = 2_000;

/**
 * A leader's write that is not answered by then fails and is tried again: less than others wait
 * before they lead.
 */
export const LEADER_WRITE_TIMEOUT_MS = 4_000;

/**
 * What is denied is believed, and told, when it still is after this: an API server that has just
 * started denies everybody everything until it has read its roles.
 */
export const DENIAL_DOUBT_MS = 5_000;

/** What was denied is not asked for again before that: while in doubt, and once believed. */
export const DOUBTED_RETRY_MS = 1_000;
export const DENIAL_KEPT_MS = 60_000;

/** Denials remembered; at the bound all are forgotten, and asked for again. */
export const DENIALS_REMEMBERED = 1_000;

/** A status is written again so often where others change the object at the same time. */
export const CONFLICT_RETRIES = 5;

/**
 * Events about one object at once, and per second after; others are left out. Source: client-go's
 * EventSourceObjectSpamFilter: 25, and one in five minutes.
 */
export const EVENT_BURST_PER_OBJECT = 25;
export const EVENT_RATE_PER_OBJECT_S = 1 / 300;

/** Objects whose Events are counted; at the bound the one told of longest ago is forgotten. */
export const EVENT_OBJECTS = 4_096;

/** Events of all objects at once, and per second after; others are left out and counted. */
export const EVENT_BURST = 200;
export const EVENT_RATE_S = 10;

/** The CA's Secrets are looked at this often. */
export const CA_SECRET_CHECK_MS = 5_000;

/** Pauses between attempts to read the CA's Secrets at the start. */
export const CA_SECRET_RETRY_INITIAL_MS = 250;
export const CA_SECRET_RETRY_MAX_MS = 10_000;

/** Objects that are not statuses written at once by the leader; others wait their turn. */
export const LEADER_WRITES_AT_ONCE = 8;

/**
 * An object that somebody changed back so soon after we wrote it is left for a while, longer each
 * time: two writers who disagree must not occupy an API server.
 */
export const REPAIR_QUIET_MS = 30_000;
