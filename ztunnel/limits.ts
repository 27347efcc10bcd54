/** Every bound of ztunnel, and what happens at it. */

// --- data path
// -------------------------------------------------------------------------------------

/** Shared first read buffer of a worker; one read never brings more. */
export const READ_SCRATCH_BYTES = 64 * 1024;

/** A connection that has moved this much reads into slabs of its own. */
export const SLAB_THRESHOLD_BYTES = 128 * 1024;

/** One read takes at most what is left of a slab; performance.md C: 256 KiB beat smaller ones. */
export const SLAB_BYTES = 256 * 1024;

/** A slab with less room than this is not read into again until all of it has been written. */
export const SLAB_MIN_READ_BYTES = 32 * 1024;

/**
 * Slabs in flight per connection; at the bound the connection stops reading until one is written.
 */
export const SLABS_PER_CONNECTION = 4;

/**
 * Slabs per worker (16 MiB); beyond it busy connections read into the shared buffer and are copied.
 */
export const SLABS_PER_WORKER = 64;

/** Bytes queued towards one TCP peer before the other side is paused. */
export const TCP_WRITE_QUEUE_BYTES = 512 * 1024;

// --- connections
// -----------------------------------------------------------------------------------

/** Connections a listener in a pod holds until they are accepted; then the kernel drops SYNs. */
export const LISTENER_BACKLOG = 1_024;

/**
 * A drain tells the peers of a tunnel to open no more streams on it, and closes it this much later:
 * what they sent meanwhile is still served (RFC 9113 6.8). Shorter where the drain itself is.
 */
export const DRAIN_NOTICE_MS = 1_000;

/** From cutting what is left at the drain's deadline to giving up on what still hangs. */
export const DRAIN_CUT_MS = 1_000;

/** TCP connect, to an application or a tunnel peer. Source: Istio's default of 10 s. */
export const CONNECT_TIMEOUT_MS = 10_000;

/** How long a new connection waits for its pod's own record. Source: ztunnel waits 5 s. */
export const LOCAL_WORKLOAD_WAIT_MS = 5_000;

/**
 * How long a new connection waits for policies that the workload names and that have not arrived.
 */
export const POLICY_WAIT_MS = 5_000;

/**
 * Connections of one worker that wait for such state; at the bound further ones are refused at once
 * instead of waiting.
 */
export const STATE_WAITERS = 4_096;

/** Of those who wait, how many are looked at in one turn of the event loop. */
export const STATE_CHECKS_PER_SLICE = 64;

/**
 * Established connections judged anew in one turn of the event loop after policies changed, and for
 * how long at most; the next slice goes on where this one ended.
 */
export const REAUTHORIZE_SLICE = 128;
export const REAUTHORIZE_SLICE_MS = 2;

/** Endpoints tried for one connection before it is refused (the first one twice: see outbound). */
export const ENDPOINT_ATTEMPTS = 3;

/** Byte counts of connections that stay open are reported this often. */
export const LIVE_BYTES_INTERVAL_MS = 5_000;

/**
 * A pod that leaves the mesh waits this long for connections that are being set up, to end them in
 * good order. What takes longer finds its rules gone: its client may never hear that it was reset.
 */
export const UNDECIDED_WAIT_MS = 500;

/** Records are sent to the control thread when this many wait, or after the delay. */
export const RECORD_BATCH = 256;
export const RECORD_DELAY_MS = 100;

// --- state
// -----------------------------------------------------------------------------------------

/** Entries of one state update posted to a worker: about a millisecond of its event loop. */
export const STATE_UPDATE_PIECE = 512;

/**
 * How long a worker takes in pieces that wait before traffic has its turn; the rest goes on after.
 */
export const STATE_SLICE_MS = 3;

/**
 * Host names of endpoints whose addresses a worker remembers; then the one looked up longest ago is
 * forgotten.
 */
export const HOST_NAMES = 1_024;

/** Look-ups of host names under way on a worker; beyond it a connection finds no endpoint. */
export const HOST_LOOK_UPS = 64;

/** One look-up; after it the connection finds no endpoint. */
export const HOST_LOOK_UP_TIMEOUT_MS = 5_000;

/** What a name server says of how long its answer is good is kept within these bounds. */
export const HOST_ADDRESSES_MIN_MS = 2_000;
export const HOST_ADDRESSES_MAX_MS = 300_000;

/** Addresses that are no longer good serve on for so long while their name cannot be looked up. */
export const HOST_STALE_MS = 300_000;

// --- reports
// ---------------------------------------------------------------------------------------

/**
 * One report call, and the waits between attempts. Undelivered reports are one per pod, never more.
 */
export const REPORT_TIMEOUT_MS = 10_000;
export const REPORT_BACKOFF_INITIAL_MS = 100;
export const REPORT_BACKOFF_MAX_MS = 15_000;

// --- ZDS
// -------------------------------------------------------------------------------------------

/** Pods that a CNI agent may hand over; a further one is refused, and stays closed. */
export const ZDS_PODS_MAX = 1_024;

/**
 * Between attempts to connect to the CNI agent; pods stay as they are meanwhile. ztunnel waits up
 * to 15 s, but the agent is on this machine, and every pod that starts waits for it.
 */
export const ZDS_BACKOFF_INITIAL_MS = 10;
export const ZDS_BACKOFF_MAX_MS = 1_000;

/** Between attempts to serve a pod that could not be served. Source: ztunnel. */
export const ZDS_RETRY_INTERVAL_MS = 5_000;

/** Of an error that is sent to the other side; the rest is cut, the log has all of it. */
export const ZDS_ERROR_CHARS = 512;

/**
 * For a ztunnel's hello and each of its answers; then its connection is closed. Source: istio-cni.
 */
export const ZDS_ANSWER_TIMEOUT_MS = 5_000;

/** Ztunnels connected to one agent, two while one is replaced; beyond it the oldest is let go. */
export const ZDS_CONNECTIONS_MAX = 8;

// --- threads
// ---------------------------------------------------------------------------------------

/** Data workers of one ztunnel; a larger count that the node's size suggests is cut to it. */
export const WORKER_THREADS_MAX = 64;

// --- memory
// ----------------------------------------------------------------------------------------

/**
 * Room for young objects of a data worker; when it is full they are collected. V8's own default
 * grows with the machine to 40 MB that never come back; a worker's objects are small and
 * short-lived.
 */
export const WORKER_YOUNG_GENERATION_MB = 6;

/** Without a pod for so long, istiod is asked whether it is one that names pods at all. */
export const STOCK_ISTIOD_PATIENCE_MS = 30_000;

/** No answer by then is taken for "it may": nothing is said. */
export const STOCK_ISTIOD_TIMEOUT_MS = 5_000;
