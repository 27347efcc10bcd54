/** Bounds of the request handler, and what happens at each. */

/** Requests under way in one process; one more is answered with 503. */
export const ACTIVE_REQUESTS = 20_000;

/**
 * Bytes of a request's body that are kept for another try; while no try takes them, the client is
 * held back. A body that is longer goes to one upstream only, and is not tried again.
 */
export const REPLAY_BYTES = 64 * 1024;

/**
 * Bytes of a request's body that are read and dropped after it has been answered; a client that
 * sends more is cut off.
 */
export const DRAIN_BYTES = 256 * 1024;

/**
 * How long an answered client may take to finish its request, and an upstream its response when the
 * client has all that it wants; then it is cut off.
 */
export const DRAIN_MS = 10_000;

/**
 * Bytes of a response that is to be tried again, read and dropped so that the connection can be
 * used further; where it is longer or of unknown length, the exchange is cancelled.
 */
export const DISCARDED_RESPONSE_BYTES = 64 * 1024;

/** Copies of requests that are under way to mirrors; further ones are not made. */
export const ACTIVE_MIRRORS = 1_024;

/** Bytes of a body that wait for a slow mirror; then the copy is given up. */
export const MIRROR_BUFFER_BYTES = 256 * 1024;

/** How long a mirror may take to answer; then the copy is given up. */
export const MIRROR_MS = 30_000;

/** Silence in both directions of an upgraded connection (WebSocket); then it is closed. */
export const TUNNEL_IDLE_MS = 60 * 60_000;

/** How long one direction of a tunnel may go on after the other has ended; then it is closed. */
export const HALF_CLOSED_TUNNEL_MS = 60_000;

/** Informational responses that are passed on for one request; further ones are dropped. */
export const INFORMATIONAL_RESPONSES = 16;

/**
 * Tries that cost no attempt of the route, because the upstream closed a connection before it saw
 * the request; then it counts as any failure.
 */
export const FREE_TRIES = 1;
