/** Bounds of the engines on libraries that no user sets, and what happens at each. */

/**
 * Requests of one client that node:http has parsed before their turn. Reading stops at the
 * first, but what was read is parsed whole: beyond it the connection is cut.
 */
export const PARSED_AHEAD = 4_096;

/** Pieces of a request's body that wait for the library: beyond it the client is held back. */
export const BODY_PIECES_WAITING = 4;
