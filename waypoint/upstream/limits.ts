/** Bounds of backends and connections to them, and what happens at each. */

/**
 * Connections to one backend, where its policy names no number; then requests wait. Below the file
 * descriptors of a process, so that one backend cannot take them all.
 */
export const CONNECTIONS_PER_BACKEND = 4_096;

/** Requests that wait for a connection to one backend, as above; one more is answered with 503. */
export const PENDING_PER_BACKEND = 4_096;

/** Requests under way to one backend, as above; one more is answered with 503. */
export const REQUESTS_PER_BACKEND = 16_384;

/** Retries under way to one backend, as above; then what failed is not tried again. */
export const RETRIES_PER_BACKEND = 256;

/** Share of the requests under way that may be retries, whatever the number says. */
export const RETRY_SHARE = 0.2;

/** A connection that nobody uses is closed, as above. Shorter than most servers' own time. */
export const IDLE_CONNECTION_MS = 55_000;

/** Connecting, TLS included, as above; then the try has failed. Source: Istio's default. */
export const CONNECT_TIMEOUT_MS = 10_000;

/** HTTP/2 requests that wait for one connection before another is made beside it. */
export const REQUESTS_PER_OPENING_HTTP2 = 64;

/** How often idle connections and forgotten backends are looked for. */
export const SWEEP_MS = 5_000;

/** A backend that nobody has asked for, and that has no connection, is forgotten. */
export const IDLE_BACKEND_MS = 10 * 60_000;

/** Points of a hash ring; with many endpoints each gets fewer, and shares grow less even. */
export const RING_POINTS = 16_384;

/** Points of one endpoint of weight 1, as far as the above allows. Source: ketama. */
export const POINTS_PER_ENDPOINT = 160;

/** Longest time that an endpoint is ejected for. Source: Envoy, max_ejection_time. */
export const MAX_EJECTION_MS = 300_000;

/** Tries at finding an endpoint that is not warming up; then the last one found is taken. */
export const WARMUP_PICKS = 8;

/** Names of endpoints that are kept resolved; then the oldest is dropped. */
export const RESOLVED_NAMES = 1_024;

/** How long a resolved name is believed. */
export const RESOLVED_NAME_MS = 5_000;

/** Endpoints that requests themselves name, per wildcard host; then the oldest is closed. */
export const DYNAMIC_ENDPOINTS = 256;

/** Endpoints that one try may lose to changes of the mesh while it waits; then it has failed. */
export const ENDPOINT_PICKS = 3;
