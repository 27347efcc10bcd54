/** The bounds of rate limiting. */

/**
 * Token buckets kept at a time; beyond it the one used longest ago is forgotten, and begins full if
 * it is needed again.
 */
export const BUCKETS = 20_000;

/** Characters of one value that requests are counted apart by; the rest of it does not count. */
export const DESCRIPTOR_LENGTH = 256;

/** Bytes of a rate limit service's answer; with more it counts as none. */
export const ANSWER_BYTES = 65_536;

/** A service that has not answered by then, where the limit does not say. Source: Envoy's. */
export const SERVICE_TIMEOUT_MS = 20;
