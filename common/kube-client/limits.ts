/** Bounds of talking to an API server, and what happens at each. */

/** A request that has no whole answer by then fails; callers may say another time. */
export const REQUEST_TIMEOUT_MS = 30_000;

/** Objects in one page of a list; the rest follows page by page. Source: client-go's pager. */
export const LIST_PAGE_OBJECTS = 500;

/** A page that is not there by then fails, and its list begins again. */
export const LIST_PAGE_TIMEOUT_MS = 60_000;

/** Objects of one list; a longer one fails. Kubernetes is built for 150,000 pods. */
export const OBJECTS_PER_LIST = 500_000;

/** Lists that outlive their snapshot are begun again in pages so often, then asked for whole. */
export const PAGED_LIST_ATTEMPTS = 3;

/** A watch whose answer has not begun by then fails. */
export const WATCH_OPEN_TIMEOUT_MS = 30_000;

/**
 * A watch that brings no whole line for this long is taken for dead. Bookmarks come about once a
 * minute. Source: bookmarkFrequency of the API server's watch cache.
 */
export const WATCH_IDLE_TIMEOUT_MS = 90_000;

/**
 * An idle connection is probed after this long, once a second; ten probes without an answer end it.
 * Source: libuv's uv_tcp_keepalive.
 */
export const KEEPALIVE_MS = 10_000;

/** Connections kept for the next request, of each client; further ones are closed after use. */
export const IDLE_CONNECTIONS = 8;

/**
 * Bytes of one answer; a longer one fails with reason ResponseTooLarge. 500 of the largest pods
 * that people have are about 25 MiB.
 */
export const RESPONSE_BYTES = 64 * 1024 * 1024;

/**
 * Bytes of one line of a watch; a longer one ends it. Source: etcd's --max-request-bytes, 1.5 MiB,
 * many times over.
 */
export const WATCH_LINE_BYTES = 16 * 1024 * 1024;

/** Characters of an answer that is no Status, as told in an error; the rest is cut off. */
export const ERROR_TEXT_CHARACTERS = 200;

/** Retry-After is honoured up to this much. */
export const RETRY_AFTER_MAX_MS = 60_000;

/** A kubeconfig, token, certificate or key file larger than this is refused. */
export const CREDENTIAL_FILE_BYTES = 4 * 1024 * 1024;

/** Token, certificate and key files are looked at again when they were read this long ago. */
export const CREDENTIAL_RECHECK_MS = 10_000;

/** An exec plugin that has not answered by then is ended, and the request fails. */
export const EXEC_TIMEOUT_MS = 30_000;

/** An exec plugin that says more than this is ended, and the request fails. */
export const EXEC_OUTPUT_BYTES = 1024 * 1024;

/** What an exec plugin gave is asked for again this long before it expires. */
export const EXEC_EARLY_MS = 10_000;

/** A plugin that failed is not started again before this; requests fail with its last error. */
export const EXEC_RETRY_MS = 1_000;

/** Port-forward, exec and logs: an API server that has not answered by then is given up on. */
export const STREAM_OPEN_TIMEOUT_MS = 30_000;

/** Bytes of one message of a stream; a longer one ends it. API servers send 32 KiB at a time. */
export const STREAM_MESSAGE_BYTES = 4 * 1024 * 1024;

/** Bytes sent in one message; more is sent in several. */
export const STREAM_CHUNK_BYTES = 64 * 1024;

/** Characters of an error that a stream's other end tells; the rest is cut off. */
export const STREAM_ERROR_CHARACTERS = 4096;
