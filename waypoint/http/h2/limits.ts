/** Bounds of HTTP/2 inside tunnels that no user sets, and what happens at each. */

/**
 * Flow-control window of one stream: what a slow reader may make us hold of it. A peer that sends
 * more has its stream reset.
 */
export const STREAM_WINDOW_BYTES = 256 * 1024;

/**
 * Flow-control window of a connection, given back as bytes arrive, whoever reads them: one stream
 * that nobody reads holds back no other. A peer that sends more is cut off.
 */
export const CONNECTION_WINDOW_BYTES = 1024 * 1024;

/**
 * Bytes of one connection that wait for who reads them; beyond it the connection's window is no
 * longer given back until some have been read, and its other streams wait, too. More than as many
 * streams as there are by default (`concurrentStreams`) may hold in their windows: however many
 * clients read nothing, others are served on the connection to an upstream that they share.
 */
export const HELD_BYTES = 32 * 1024 * 1024;

/** Bytes of one stream that wait to be sent; from here on `write` says false. */
export const SEND_QUEUE_BYTES = 64 * 1024;

/** A stream whose `write` said false is told to go on when no more than this is left. */
export const SEND_QUEUE_LOW_BYTES = 32 * 1024;

/**
 * Answers to frames, and heads, in bytes, that pile up behind what a peer does not read; beyond it
 * nothing of that peer is read either, until it has.
 */
export const UNREAD_ANSWER_BYTES = 64 * 1024;

/**
 * Invalid frames and messages of one connection that were answered, at once and per second; beyond
 * it the connection is cut off. One that stands for days is not cut off for what a few do.
 */
export const INVALID_FRAMES = 100;
export const INVALID_FRAME_RATE_PER_S = 1;

/**
 * Streams that a client may reset, or open although there are too many, at once and per second;
 * beyond it the connection is cut off (CVE-2023-44487).
 */
export const STREAM_RESET_BURST = 2_000;
export const STREAM_RESET_RATE_PER_S = 500;

/**
 * Frames that bring nothing (PING, SETTINGS, PRIORITY, unknown ones, empty DATA, frames of streams
 * that are over), at once and per second; beyond it the connection is cut off.
 */
export const IDLE_FRAME_BURST = 10_000;
export const IDLE_FRAME_RATE_PER_S = 1_000;

/**
 * WINDOW_UPDATE frames of a peer: so many at first, and so many more for each frame of HEADERS or
 * DATA that it got (some open a window with each request); beyond it the connection is cut off.
 * Source for the latter: Envoy, max_inbound_window_update_frames_per_data_frame_sent.
 */
export const WINDOW_UPDATES_AT_FIRST = 10_000;
export const WINDOW_UPDATES_PER_FRAME = 10;

/**
 * CONTINUATION frames of one header block (CVE-2024-27316), and the bytes of a block as it comes,
 * by how much it may be once decoded; beyond either the connection is cut off, for what follows
 * could not be decoded.
 */
export const CONTINUATIONS_PER_BLOCK = 16;
export const BLOCK_BYTES_PER_HEADER_BYTE = 2;

/** A peer that has not acknowledged our SETTINGS by then is cut off. */
export const SETTINGS_ACK_MS = 30_000;

/**
 * What a response that its client does not read has to move for it to get the time for a body
 * anew: who opens its window byte by byte is given up all the same.
 */
export const READ_PROGRESS_BYTES = 1_024;

/** Streams that are over and whose end is remembered; of older ones a late frame is ignored. */
export const REMEMBERED_STREAMS = 128;

/**
 * Pieces of a body that wait and are shorter than this are joined, and of longer ones those that
 * are a small part of their memory are copied: what waits keeps little else in memory.
 */
export const JOINED_PIECE_BYTES = 1_024;
export const JOINED_BLOCK_BYTES = 4_096;
export const KEPT_MEMORY_FACTOR = 4;

/** Buffers in which frames are put together, of the thread; what there are more of is let go. */
export const SPARE_BUFFERS = 16;
