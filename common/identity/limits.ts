/** Bounds of certificates, their renewal and the files about trust, and what happens at each. */

/** Certificates fetched at once; further identities wait their turn. Source: ztunnel. */
export const CERTIFICATE_FETCHES = 8;

/** Between attempts after a failure. Source: ztunnel's 500 ms to 150 s. */
export const CERTIFICATE_BACKOFF_INITIAL_MS = 500;
export const CERTIFICATE_BACKOFF_MAX_MS = 150_000;

/**
 * The wall clock is looked at this often while a renewal is waited for: a clock that was set
 * forward (or a machine that slept) must not carry a certificate past its end.
 */
export const CERTIFICATE_CLOCK_CHECK_MS = 60_000;

/**
 * All certificates are renewed within this time when other roots are to be trusted, each at a
 * moment of its own.
 */
export const ROOT_CHANGE_SPREAD_MS = 5_000;

/** That time begins after this one, by when the CA has heard of the change as well. */
export const ROOT_CHANGE_DELAY_MS = 3_000;

/** Then all are renewed once more, for a CA that took longer. */
export const ROOT_CHANGE_AGAIN_MS = 30_000;

/** The file of the control plane's roots and CRL_PATH are looked at this often. */
export const TRUST_FILES_CHECK_INTERVAL_MS = 1_000;

/** That a revocation list is overdue is said this often. */
export const CRL_OVERDUE_LOG_INTERVAL_MS = 3_600_000;

/** One call to the CA; after it the attempt has failed. */
export const CERTIFICATE_CALL_TIMEOUT_MS = 10_000;
