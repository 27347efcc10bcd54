/** Bounds of tunnels and of what waits for them, and what happens at each. */

/** A peer that has not finished its TLS handshake by then is closed. */
export const TLS_HANDSHAKE_TIMEOUT_MS = 5_000;

/** From CONNECT to its answer: the peer's own connect timeout and a margin. */
export const CONNECT_RESPONSE_TIMEOUT_MS = 12_000;

/** How long a new connection waits for its identity's first certificate. */
export const CERTIFICATE_WAIT_MS = 5_000;

/**
 * Streams on one pooled tunnel; the next connection opens another. Source:
 * POOL_MAX_STREAMS_PER_CONNECTION.
 */
export const STREAMS_PER_TUNNEL = 100;

/**
 * A tunnel that was closed without its peer closing it too is cut after this: a peer whose pod is
 * gone never does, and TCP would wait for a quarter of an hour.
 */
export const TUNNEL_CLOSE_MS = 5_000;

/**
 * A pooled tunnel without streams is closed after this. Source: POOL_UNUSED_RELEASE_TIMEOUT, 5 min.
 */
export const TUNNEL_IDLE_MS = 300_000;

/**
 * Connections waiting for one tunnel to come up; beyond it they are refused with `limit-reached`.
 */
export const PENDING_STREAMS_PER_TUNNEL = 4_096;

/**
 * How often tunnels are pinged, and after how long without an answer one is dropped. Source:
 * ztunnel.
 */
export const PING_INTERVAL_MS = 10_000;
export const PING_TIMEOUT_MS = 20_000;

/**
 * Memory one HTTP/2 session may take, in MB: room for 16 MiB windows both ways and queued frames.
 */
export const SESSION_MEMORY_MB = 128;

/**
 * Bytes that wait in HBONE streams that nobody reads, of one tunnel and of one worker: beyond it
 * the streams that hold most are reset (ENHANCE_YOUR_CALM). Sixteen whole windows, and four such
 * tunnels. They are counted this often; meanwhile a peer may send what the network carries.
 */
export const STALLED_BYTES_PER_TUNNEL = 64 * 1024 * 1024;
export const STALLED_BYTES_PER_WORKER = 256 * 1024 * 1024;
export const STALLED_CHECK_MS = 50;
