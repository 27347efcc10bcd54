/** The bounds of the xDS codecs and of the delta client. */

/** A stream without a connection is given up after this; the kernel would try for minutes. */
export const CONNECT_TIMEOUT_MS = 10_000;

/**
 * A server that takes the connection and answers nothing is given up after this, and another one
 * (or the same) is asked. A large mesh that starts over needs seconds.
 */
export const FIRST_ANSWER_TIMEOUT_MS = 60_000;

/**
 * Acknowledgements that the server has not read; beyond it the stream is given up. A server that
 * waits for them has one per type.
 */
export const UNREAD_ACKNOWLEDGEMENTS = 1_000;

/** Resources held of one type; further names are rejected (NACK), those that are held go on. */
export const RESOURCES_PER_TYPE = 1_000_000;

/** Rejected resources of one push that are logged and named in the NACK; the others are counted. */
export const REJECTIONS_TOLD = 20;

/**
 * Streams in a row that were over within STABLE_STREAM_MS and yet reset the back-off; the next ones
 * grow it: a server that answers and ends at once would be asked for ever, a hundred times a
 * second.
 */
export const SHORT_STREAMS_FORGIVEN = 10;
export const STABLE_STREAM_MS = 1_000;

/** Unreadable parts of one policy that are told of; further ones are left out of the list. */
export const UNREADABLE_NOTES = 8;

/**
 * Names of one type that are asked for and not answered; further ones are not asked for, and
 * whoever needs them is refused.
 */
export const NAMES_PENDING = 9_000;

/** Names that lead to a resource, as with those that are pending: a mesh has so many at most. */
export const NAMES_FOUND = 30_000;

/**
 * Names that lead nowhere; beyond it the one answered longest ago is not followed any more, and
 * asked for again when it is needed. All three together stay under what istiod-lite takes.
 */
export const NAMES_ABSENT = 10_000;
