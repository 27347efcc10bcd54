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

/** TLS handshakes under way at one server; beyond it the oldest of them is closed. */
export const PENDING_HANDSHAKES = 512;

/**
 * Streams a mesh peer may reset at once, and per second after: clients that abort often are normal.
 */
export const STREAM_RESET_BURST = 20_000;
export const STREAM_RESET_RATE_PER_S = 1_000;

/**
 * Streams refused on one session because too many were open, before the session is cut with all
 * others on it. Streams that were reset count as open until they are cleaned up, so a burst of them
 * adds up.
 */
export const REJECTED_STREAMS_PER_SESSION = 100_000;

/**
 * Tunnels on which one CONNECT is tried, if those before were lost before they answered; then it is
 * another endpoint's turn.
 */
export const TUNNEL_ATTEMPTS = 3;

/** Bytes queued towards the peer of one socket before the other side is paused. */
export const SOCKET_WRITE_QUEUE_BYTES = 512 * 1024;
