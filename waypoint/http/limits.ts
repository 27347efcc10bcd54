/** Bounds of the HTTP/1.1 engines that no user sets, and what happens at each. */

/**
 * Empty lines before a request, which RFC 9112 2.2 asks to ignore: beyond it the client gets 400.
 */
export const EMPTY_LINES_BEFORE_REQUEST = 4;

/**
 * What is read of the requests behind the one that is being answered, so that it is noticed when
 * their client leaves. Beyond it the connection is not read until the answer is complete.
 */
export const READ_AHEAD_BYTES = 16 * 1024;

/** Bytes of extensions behind a chunk's size, which nobody reads: beyond it the message is bad. */
export const CHUNK_EXTENSION_BYTES = 1_024;

/** Bytes of extensions of all chunks of a message: beyond it the message is bad. */
export const CHUNK_EXTENSIONS_PER_MESSAGE_BYTES = 16_384;

/**
 * 1xx responses before the one that counts: beyond it the upstream's connection is cut (`limit`).
 */
export const INFORMATIONAL_RESPONSES = 16;

/**
 * What is read and dropped of a request whose response is complete, so that the connection can be
 * used again, or so that the client reads the response before it hears of the close. Beyond it
 * the connection is reset.
 */
export const DISCARDED_REQUEST_BYTES = 256 * 1024;

/** A connection that we have ended and its other side has not is reset after this. */
export const LINGER_MS = 2_000;

/**
 * A drained connection without a request is closed after this; one whose next request comes in
 * time is closed by the response to it, which no client takes for a failure.
 */
export const DRAIN_IDLE_MS = 1_000;

/** How often deadlines are looked at: a timeout strikes up to this much too late, never early. */
export const DEADLINE_SWEEP_MS = 250;

/** Up to this size a body chunk is copied behind its head, to leave as one piece of memory. */
export const JOINED_CHUNK_BYTES = 8 * 1024;
