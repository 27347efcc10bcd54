/** Bounds of what a proxy keeps of the mesh, and what happens at each. */

/**
 * Compiled sets of policies per worker; at the bound all are dropped and made again when needed.
 */
export const COMPILED_POLICY_SETS = 4_096;

/**
 * Endpoint lists kept ready per service, one per port and place of its clients; then all are
 * dropped.
 */
export const ENDPOINT_LISTS_PER_SERVICE = 64;
