/** Every bound of the waypoint, and what happens at it; parts have more of their own. */
import type { CodecLimits } from "./http/engine.ts";

// --- clients
// ---------------------------------------------------------------------------------------

/** Connections the listener holds until they are accepted; then the kernel drops SYNs. */
export const LISTENER_BACKLOG = 1_024;

/** Clients' connections (CONNECT streams) at a time; beyond it they are answered 503. */
export const CLIENT_CONNECTIONS = 16_000;

/**
 * A client of a port whose protocol is not declared is waited for this long: then the server is
 * connected to, for it may be the one to speak first. Source: Istio's protocolDetectionTimeout,
 * which was 100 ms while it was on.
 */
export const PROTOCOL_DETECTION_MS = 100;

/**
 * On a port that is declared HTTP or TLS, a client that has said nothing by then is let go. As long
 * as an HTTP connection may stand idle.
 */
export const FIRST_BYTE_MS = 3_600_000;

/**
 * Where that server may not be connected to, or cannot be, the client has so long to turn out to
 * speak HTTP, which has answers of its own; then its connection is reset.
 */
export const LATE_WORD_MS = 5_000;

/**
 * First bytes looked at to tell the protocol: the longest TLS client hello (RFC 8446 5.1 bounds a
 * record to 16 KiB) and a request line. What is undecided by then is plain TCP.
 */
export const DETECTION_BYTES = 17 * 1024;

/** A request line that has not ended by then is not taken for HTTP of an unknown method. */
export const DETECTION_LINE_BYTES = 2 * 1024;

// --- HTTP
// ------------------------------------------------------------------------------------------

/**
 * Of one message. More header than that is answered with 431, a client that is slower with 408.
 * Sources: Envoy's 60 KiB, 100 fields, one hour idle, five minutes for a body.
 */
export const HTTP_LIMITS: CodecLimits = {
  headerBytes: 60 * 1024,
  headerCount: 128,
  headersTimeoutMs: 10_000,
  idleTimeoutMs: 3_600_000,
  bodyTimeoutMs: 300_000,
  // Then the connection is closed in good order: nobody stays on one waypoint for ever.
  requestsPerConnection: 1_000_000,
  pipelinedRequests: 100,
  concurrentStreams: 100,
};

// --- upstreams
// -------------------------------------------------------------------------------------

/** TCP connect to an endpoint outside the mesh, or to a tunnel. Source: Istio's default of 10 s. */
export const CONNECT_TIMEOUT_MS = 10_000;

/** The TLS handshake with an endpoint whose DestinationRule or BackendTLSPolicy asks for TLS. */
export const TLS_ORIGINATION_TIMEOUT_MS = 5_000;

/** TCP's keepalive of connections outside the mesh begins after this. Source: Istio's 180 s. */
export const TCP_KEEPALIVE_MS = 180_000;

/** Endpoints tried for one connection whose bytes are carried as they are. */
export const TCP_ENDPOINT_ATTEMPTS = 3;

/** Standing connections judged anew in one turn of the event loop after policies changed. */
export const REAUTHORIZE_SLICE = 128;

/** Standing connections that authorizers are asked about at a time then; the others wait. */
export const REAUTHORIZATIONS_ASKED = 64;

/** Label sets of connections kept per destination; beyond it they are made anew. */
export const LABEL_SETS_PER_DESTINATION = 1_024;

// --- drain
// -----------------------------------------------------------------------------------------

/**
 * A pod is told to end at the moment at which its clients' ztunnels begin to hear of it: those that
 * have not yet still come, and have nowhere else to go where it was the only one.
 */
export const DRAIN_HEARSAY_MS = 1_000;

/**
 * A drain tells the peers of a tunnel to open no more streams on it, and closes it this much later:
 * what they sent meanwhile is still served (RFC 9113 6.8). Shorter where the drain itself is.
 */
export const DRAIN_NOTICE_MS = 1_000;

/** From cutting what is left at the drain's deadline to giving up on what still hangs. */
export const DRAIN_CUT_MS = 1_000;

// --- housekeeping
// ----------------------------------------------------------------------------------

/** Idle tunnels, expired peers and sessions that are over are looked for this often. */
export const SWEEP_INTERVAL_MS = 5_000;
