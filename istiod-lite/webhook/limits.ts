/** The bounds of the webhook: anybody in the cluster can reach its port. */

/**
 * A larger review is answered with 413. Etcd takes objects of 1.5 MiB, and a review holds the
 * object twice.
 */
export const REVIEW_BYTES = 4 * 1024 * 1024;

/** Bytes of reviews on their way in, all together; at the bound further ones get 503. */
export const REVIEWS_IN_FLIGHT_BYTES = 32 * 1024 * 1024;

/** A review that is nested deeper is answered with 400. No kind nests half as deep. */
export const REVIEW_DEPTH = 64;

/**
 * Connections at once; a further one is closed, and with it all that are idle. An API server keeps
 * a few, and makes others where it has none.
 */
export const WEBHOOK_CONNECTIONS = 256;

/** A request whose head, or whole, has not come by then is answered with 408. */
export const HEADERS_TIMEOUT_MS = 5_000;
export const REVIEW_TIMEOUT_MS = 10_000;

/** A connection on which nothing comes for so long is closed; API servers keep theirs 90 s. */
export const KEEP_ALIVE_MS = 120_000;

/** A TLS handshake that takes longer ends its connection. */
export const HANDSHAKE_TIMEOUT_MS = 5_000;

/** Reviews in progress have so long to be answered when istiod-lite stops; then they are cut. */
export const WEBHOOK_SHUTDOWN_MS = 1_000;

/** How often is looked whether the certificate has to be another one: half-way, or another CA. */
export const CERTIFICATE_CHECK_MS = 1_000;

/** Problems told in one refusal; the others are counted. */
export const PROBLEMS_TOLD = 5;

/** Characters of one problem; the rest is cut off. */
export const PROBLEM_CHARACTERS = 400;

/** Characters of one warning, beyond which it is cut. Source: API servers cut at 256. */
export const WARNING_CHARACTERS = 256;

/** Warnings of one review; the others are left out. Source: API servers take 4096 characters. */
export const WARNINGS_TOLD = 12;

/** Targets of one object that are looked for; further ones are not looked at. */
export const TARGETS_LOOKED_AT = 64;
