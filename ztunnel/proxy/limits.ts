/** Bounds of what a data worker takes on and waits for, and what happens at each. */

/**
 * Connections of one worker, those that are being set up included, and established ones of one pod,
 * which must not take all of them; beyond it new ones are reset, or answered 503, and counted.
 */
export const CONNECTIONS_PER_WORKER = 16_000;
export const CONNECTIONS_PER_POD = 12_000;

/**
 * Bytes that wait in HBONE streams that nobody reads, of one tunnel and of one worker: beyond it
 * the streams that hold most are reset (ENHANCE_YOUR_CALM). Sixteen whole windows, and four such
 * tunnels. They are counted this often; meanwhile a peer may send what the network carries.
 */
export const STALLED_BYTES_PER_TUNNEL = 64 * 1024 * 1024;
export const STALLED_BYTES_PER_WORKER = 256 * 1024 * 1024;
export const STALLED_CHECK_MS = 50;

/**
 * How long a new connection waits for the control plane to say who is at an address
 * (XDS_ON_DEMAND), and connections of one worker that wait for that. At either bound the connection
 * is refused: an address that nobody has spoken for is not sent to in the clear.
 */
export const LOOK_UP_WAIT_MS = 5_000;
export const LOOK_UPS_WAITING = 4_096;

/** That nobody is at an address is asked again after this; until then it is taken as said. */
export const LOOK_UP_ABSENT_MS = 30_000;
