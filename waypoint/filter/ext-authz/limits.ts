/** The bounds of external authorization. */

/** Bytes of an authorizer's answer; with more it counts as none. */
export const ANSWER_BYTES = 65_536;

/** A check without a timeout of its own fails after this. Source: Istio's default. */
export const CHECK_TIMEOUT_MS = 600_000;
