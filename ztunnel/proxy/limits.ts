/** Bounds of what a data worker takes on and waits for, and what happens at each. */

/**
 * Connections of one worker, those that are being set up included, and established ones of one pod,
 * which must not take all of them; beyond it new ones are reset, or answered 503, and counted.
 */
export const CONNECTIONS_PER_WORKER = 16_000;
export const CONNECTIONS_PER_POD = 12_000;

/**
 * How long a new connection waits for the control plane to say who is at an address
 * (XDS_ON_DEMAND), and connections of one worker that wait for that. At either bound the connection
 * is refused: an address that nobody has spoken for is not sent to in the clear.
 */
export const LOOK_UP_WAIT_MS = 5_000;
export const LOOK_UPS_WAITING = 4_096;

/** That nobody is at an address is asked again after this; until then it is taken as said. */
export const LOOK_UP_ABSENT_MS = 30_000;
