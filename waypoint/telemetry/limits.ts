/** Bounds of a waypoint's telemetry, and what happens at them. */

/**
 * Requests that are over and wait to be logged. Further ones are counted in the metrics at once;
 * their log line and span are left out, and that is counted.
 */
export const RECORD_QUEUE = 4_096;

/** Requests wait this long for others to be logged with; as many as one turn takes do not wait. */
export const RECORD_DELAY_MS = 25;

/** Requests worked off in one turn, a few milliseconds; the rest in the next turns. */
export const RECORDS_PER_TURN = 128;

/** Label sets of requests with series of their own; further ones are counted as `unknown`. */
export const REQUEST_SERIES = 1_000;

/** Series printed in one turn of a scrape, a millisecond or two; the rest in the next turns. */
export const SERIES_PER_TURN = 25;

/** Ways to a series that are remembered, of one configuration; then they are found anew. */
export const REMEMBERED_SERIES = 10_000;

/** Characters of a header or path in the log; the rest is left out. */
export const LOGGED_CHARACTERS = 2_048;

/**
 * Longest tracestate that is passed on (W3C Trace Context 3.3.1.5 asks for 512); else it is
 * dropped.
 */
export const TRACE_STATE_CHARACTERS = 1_024;

/** Spans that wait to be sent to one collector. Further ones are left out, and counted. */
export const SPAN_QUEUE = 2_048;

/** Spans in one request to a collector; the rest go with the next. */
export const SPANS_PER_EXPORT = 256;

/** Spans wait this long for others to be sent with. */
export const EXPORT_DELAY_MS = 1_000;

/** A collector that has not answered by then has lost what it was sent; that is counted. */
export const EXPORT_TIMEOUT_MS = 10_000;

/** Of an answer of a collector; nothing of it is read but its status, and it is cut off here. */
export const EXPORT_ANSWER_BYTES = 64 * 1024;

/** Collectors that are sent to; one more takes the place of the one that was first. */
export const COLLECTORS = 16;
