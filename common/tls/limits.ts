/** Bounds of everything in common/tls, with what happens at each. */

/**
 * Largest certificate read, in bytes; a larger one is refused (CERTIFICATE_TOO_LARGE). Ours are
 * about 700.
 */
export const MAX_CERTIFICATE_BYTES = 16 * 1024;

/** Extensions read in one certificate; more are refused as malformed. Ours have six. */
export const MAX_CERTIFICATE_EXTENSIONS = 32;

/** Subject alternative names read in one certificate; more are refused as malformed. */
export const MAX_SUBJECT_ALT_NAMES = 32;

/** SPIFFE-ID 2.3: a SPIFFE id is at most 2048 bytes; a longer one is refused. */
export const MAX_SPIFFE_ID_BYTES = 2048;

/** Extended key usages read in one certificate; more are refused as malformed. */
export const MAX_KEY_PURPOSES = 16;

/**
 * Largest certificate signing request, PEM or DER; a larger one is refused. Ours are about 350
 * bytes.
 */
export const MAX_CSR_BYTES = 8 * 1024;

/** Certificates read from one PEM text (a chain or a bundle of roots); more are refused. */
export const MAX_PEM_CERTIFICATES = 32;

/** A handshake that has not finished after this time is closed (slow loris). */
export const TLS_HANDSHAKE_TIMEOUT_MS = 5_000;

/**
 * Largest text of revocation lists; a larger one is refused and the last good one stays in force.
 * About 100,000 revocations; a ConfigMap holds 1 MiB.
 */
export const MAX_CRL_BYTES = 4 * 1024 * 1024;

/** Lists in one text, one per issuing CA; more are refused. */
export const MAX_CRLS = 32;

/** Which CA signed which list is remembered for so many pairs; then all of it is found out anew. */
export const MAX_REMEMBERED_CRL_ISSUERS = 1_024;

/** Certificates looked at in a peer's chain; a longer chain is refused. OpenSSL stops at 100. */
export const MAX_PEER_CHAIN = 10;
