/** The bounds of RequestAuthentication. */

/** Characters of a token; a longer one is refused with 401 before anything of it is decoded. */
export const TOKEN_LENGTH = 16_384;

/** Tolerance for clocks that differ, for `exp` and `nbf`. Source: Envoy's jwt filter, 60 s. */
export const CLOCK_LEEWAY_S = 60;

/**
 * Tokens whose signature has been verified; beyond it the one used longest ago is forgotten, and
 * verified again when it comes.
 */
export const VERIFIED_TOKENS = 4_096;

/** Keys of a set that are looked at; further ones do not exist for us. */
export const KEYS_PER_SET = 100;

/** Keys that one token is tried with, where it does not name its key: then it is refused. */
export const KEYS_TRIED = 8;

/** Bytes of a key set that is fetched; a larger one is a failure to fetch it. */
export const JWKS_BYTES = 1_048_576;

/** A fetch that takes longer failed; a rule may say otherwise, up to the second. */
export const JWKS_TIMEOUT_MS = 5_000;
export const JWKS_MAX_TIMEOUT_MS = 30_000;

/** A key set older than this is fetched again while it goes on being used. */
export const JWKS_FRESH_MS = 300_000;

/** One older than this is not used before it has been tried to fetch it. */
export const JWKS_STALE_MS = 1_200_000;

/** Between fetches after one that failed: requests are judged by the last good set, or refused. */
export const JWKS_RETRY_MS = 2_000;

/**
 * Between fetches because of tokens that name a key nobody knows; those in between are refused.
 */
export const JWKS_UNKNOWN_KEY_MS = 5_000;

/** URIs that key sets are kept for; beyond it the one used longest ago is dropped. */
export const JWKS_URIS = 1_000;
