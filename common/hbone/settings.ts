/**
 * HTTP/2 as HBONE uses it. Source of the values: istio/ztunnel src/config.rs, except where said.
 */
import type { Settings } from "node:http2";

/** Flow-control window of one stream. */
export const HBONE_STREAM_WINDOW_BYTES = 4 * 1024 * 1024;

/** Flow-control window of a connection: four stalled streams do not stop the others. */
export const HBONE_CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;

/**
 * Largest frame we take. ztunnel takes 1 MiB; 64 KiB measured as fast here and bounds a frame's
 * memory.
 */
export const HBONE_MAX_FRAME_BYTES = 64 * 1024;

/** Streams that a server takes at once on one connection. */
export const HBONE_SERVER_STREAMS = 200;

/** Decoded header block that a server takes: 64 KiB; a client: 16 KiB. */
export const HBONE_SERVER_HEADER_LIST_BYTES = 64 * 1024;
export const HBONE_CLIENT_HEADER_LIST_BYTES = 16 * 1024;

/** What people may change; the defaults are the constants above. */
export interface HboneSizes {
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  readonly maxFrameBytes: number;
}

export const HBONE_SIZES: HboneSizes = {
  streamWindowBytes: HBONE_STREAM_WINDOW_BYTES,
  connectionWindowBytes: HBONE_CONNECTION_WINDOW_BYTES,
  maxFrameBytes: HBONE_MAX_FRAME_BYTES,
};

export function hboneClientSettings({ streamWindowBytes, maxFrameBytes }: HboneSizes): Settings {
  return {
    initialWindowSize: streamWindowBytes,
    maxFrameSize: maxFrameBytes,
    maxHeaderListSize: HBONE_CLIENT_HEADER_LIST_BYTES,
    enablePush: false,
  };
}

export function hboneServerSettings({ streamWindowBytes, maxFrameBytes }: HboneSizes): Settings {
  return {
    initialWindowSize: streamWindowBytes,
    maxFrameSize: maxFrameBytes,
    maxHeaderListSize: HBONE_SERVER_HEADER_LIST_BYTES,
    maxConcurrentStreams: HBONE_SERVER_STREAMS,
  };
}
