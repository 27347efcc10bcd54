/** HTTP/2 as the waypoint speaks it inside tunnels. */
import type { ServerSessionOptions } from "node:http2";
import type { CodecLimits } from "../engine.ts";

/** Flow-control window of one stream: what a slow reader may make us hold of it. */
const STREAM_WINDOW_BYTES = 256 * 1024;
const CONNECTION_WINDOW_BYTES = 1024 * 1024;

/** Memory one session may take, in MB: its windows both ways and what is queued. */
const SESSION_MEMORY_MB = 16;

/** Invalid frames that nghttp2 has answered, of one session; beyond it the session ends. */
const INVALID_FRAMES = 100;

/**
 * Streams that a peer may reset at once and per second; beyond it the session ends
 * (CVE-2023-44487).
 */
const STREAM_RESET_BURST = 2_000;
const STREAM_RESET_RATE_PER_S = 500;

/** For both ends. */
export function h2SessionOptions(limits: CodecLimits): ServerSessionOptions {
  return {
    settings: {
      enablePush: false,
      initialWindowSize: STREAM_WINDOW_BYTES,
      maxConcurrentStreams: limits.concurrentStreams,
      maxHeaderListSize: limits.headerBytes,
    },
    maxHeaderListPairs: limits.headerCount,
    maxSessionMemory: SESSION_MEMORY_MB,
    maxSessionInvalidFrames: INVALID_FRAMES,
    streamResetBurst: STREAM_RESET_BURST,
    streamResetRate: STREAM_RESET_RATE_PER_S,
  };
}

export { CONNECTION_WINDOW_BYTES };
