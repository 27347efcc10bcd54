/** Bounds of the DNS proxy, and what happens at them. */

/** Queries of one pod waiting for an answer; beyond it they are answered SERVFAIL at once. */
export const DNS_QUERIES_PER_POD = 256;

/** The same of all pods together; each takes a descriptor or two. */
export const DNS_QUERIES_PER_NODE = 2_048;

/**
 * How long one name server is waited for before the next one is asked too (or the same again, where
 * it is the only one), and how often at most. The first good answer counts.
 */
export const DNS_ATTEMPT_MS = 1_500;
export const DNS_ATTEMPTS = 3;

/**
 * No answer at all by then is answered SERVFAIL: before glibc's 5 s, after which nobody listens.
 */
export const DNS_QUERY_TIMEOUT_MS = 4_500;

/** TCP connections of one pod; beyond it new ones are closed. */
export const DNS_CONNECTIONS_PER_POD = 64;

/** Queries of one TCP connection waiting for an answer; beyond it the connection is not read. */
export const DNS_QUERIES_PER_CONNECTION = 64;

/**
 * What one side of a TCP connection has not taken yet, a client or its name server; beyond it the
 * other is not read.
 */
export const DNS_QUEUE_BYTES = 256 * 1024;

/** A TCP connection on which nothing moves for so long is closed (RFC 7766 section 6.2.3). */
export const DNS_CONNECTION_IDLE_MS = 15_000;

/** A TCP connection to a name server; after it the next one is tried. */
export const DNS_CONNECT_TIMEOUT_MS = 2_000;

/** Name servers and search domains taken from a pod's resolv.conf; further ones are ignored. */
export const NAMESERVERS_PER_POD = 8;
export const SEARCH_DOMAINS_PER_POD = 32;

/** A longer resolv.conf is not read; ztunnel's own is taken in its place. */
export const RESOLV_CONF_BYTES = 64 * 1024;

/** A pod's resolv.conf is read again when it is used after this. */
export const RESOLV_CONF_MAX_AGE_MS = 30_000;

/** Label sets of DNS metrics; further ones are counted as `unknown`. */
export const DNS_SERIES = 2_000;
