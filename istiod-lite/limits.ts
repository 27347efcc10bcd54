/** Every bound of istiod-lite, and what happens at it. */

/**
 * Changes are gathered this long before they are pushed: a rollout is a few pushes, not hundreds.
 */
export const PUSH_DEBOUNCE_MS = 10;

/**
 * Bytes of resources in one xDS response after the first; the rest follows after its ACK. The first
 * response of a type is always whole, because a proxy takes its arrival for "I know the mesh now".
 */
export const RESPONSE_BYTES = 16 * 1024 * 1024;

/**
 * Names one stream may subscribe to by name; beyond it the stream is ended with RESOURCE_EXHAUSTED.
 */
export const SUBSCRIPTIONS_PER_STREAM = 50_000;

/** Of what a proxy says its version is; the rest is cut off. */
export const PROXY_VERSION_CHARACTERS = 64;

/** Largest message taken from a proxy (a reconnect lists every name it holds). */
export const REQUEST_BYTES = 16 * 1024 * 1024;

/** HTTP/2 keepalive towards proxies. Source: istiod's keepalive of 30 s, timeout 10 s. */
export const KEEPALIVE_MS = 30_000;
export const KEEPALIVE_TIMEOUT_MS = 10_000;

/**
 * A connection ends gracefully after this age, so that proxies spread over the replicas again and
 * prove themselves anew. Source: istiod's keepaliveMaxServerConnectionAge of 30 min.
 */
export const CONNECTION_AGE_MS = 30 * 60_000;
export const CONNECTION_AGE_GRACE_MS = 10_000;

/**
 * Connections to the gRPC port; further ones are reset. Each takes a descriptor and, once proven,
 * about 100 KiB.
 */
export const GRPC_CONNECTIONS = 10_000;

/**
 * Connections that have brought no good token yet; at the bound the oldest of them is reset. Enough
 * for every ztunnel of a large mesh to come back at once.
 */
export const UNAUTHENTICATED_CONNECTIONS = 1_024;

/** A connection that has brought no good token by then is reset, its TLS handshake included. */
export const AUTHENTICATION_TIMEOUT_MS = 15_000;

/** Calls at once on one connection; further ones wait at the client. A ztunnel has about ten. */
export const STREAMS_PER_CONNECTION = 128;

/** xDS streams at once of one pod; further ones end with RESOURCE_EXHAUSTED. A ztunnel has one. */
export const STREAMS_PER_CALLER = 8;

/**
 * Resources on their way in large responses, of all streams together; at the bound streams wait
 * their turn. Each is about 300 bytes, and is held about three times while it is sent.
 */
export const RESOURCES_IN_FLIGHT = 100_000;

/** Responses of up to so many resources are sent without waiting for a turn. */
export const SMALL_RESPONSE_RESOURCES = 256;

/**
 * A node that has had no ztunnel for this long is told of: more than a restart takes, less than the
 * patience of who wonders why their pods are closed.
 */
export const ZTUNNEL_ABSENT_MS = 5_000;

/**
 * A proxy that has not taken a response by then is cut off: it would hold up those that wait. It
 * comes back, and says what it has.
 */
export const SLOW_PROXY_TIMEOUT_MS = 60_000;

/** Refusals told in the log per minute and kind; the others are counted in the next line. */
export const REFUSALS_LOGGED_PER_MINUTE = 20;

/** The CA's files are looked at this often. */
export const CA_CHECK_INTERVAL_MS = 1_000;

/** istiod-lite's own certificate is looked at this often: renewed at half its life. */
export const SERVER_CERTIFICATE_CHECK_MS = 60_000;

/** Calls in progress have this long to end when istiod-lite is stopped; then they are cut. */
export const SHUTDOWN_GRACE_MS = 1_000;

/** Pauses between attempts to write a status that could not be written. */
export const STATUS_RETRY_INITIAL_MS = 500;
export const STATUS_RETRY_MAX_MS = 60_000;

/** Statuses written at once; others wait their turn. An API server serves many clients. */
export const STATUS_WRITES_AT_ONCE = 16;

/**
 * What runs for Gateways is brought about again so often, where somebody else may have changed it
 * unseen.
 */
export const OWNED_RESYNC_MS = 5 * 60_000;

// --- certificates and tokens
// -------------------------------------------------------------------------

/** Lifetime of a workload's certificate where the caller names none, and the longest there is. */
export const WORKLOAD_CERTIFICATE_TTL_S = 24 * 3_600;

/**
 * Lifetime of istiod-lite's own server certificate. A new one is issued at every start, at half its
 * life, and when another CA is put in.
 */
export const SERVER_CERTIFICATE_TTL_S = 365 * 24 * 3_600;

/** Lifetime of a root that istiod-lite makes itself. Source: Istio's self-signed CA, 10 years. */
export const SELF_SIGNED_ROOT_TTL_S = 10 * 365 * 24 * 3_600;

/** Certificates begin this much before now, for proxies whose clocks are behind. Source: Istio. */
export const CERTIFICATE_BACKDATE_S = 120;

/** A plugged-in file larger than this is refused. */
export const CA_FILE_BYTES = 1024 * 1024;

/** A bearer token longer than this is refused unread. Kubernetes' tokens are about 1.2 KiB. */
export const TOKEN_BYTES = 16 * 1024;

/**
 * Verified tokens remembered; at the bound the oldest is forgotten, and verified again when it
 * returns.
 */
export const TOKEN_CACHE_ENTRIES = 10_000;

/**
 * A verified token is believed this long without looking again (and never beyond its own expiry).
 */
export const TOKEN_CACHE_MS = 60_000;

/** Clocks of the token's issuer and ours may differ by this much. */
export const TOKEN_LEEWAY_S = 10;

/** The key set file is looked at again when this old; the size that is read, at most. */
export const JWKS_RECHECK_MS = 1_000;
export const JWKS_BYTES = 1024 * 1024;

/** A token that the API server refused is not asked about again for this long. */
export const REFUSED_TOKEN_MS = 5_000;

/** Refused tokens remembered; at the bound the oldest is forgotten, and asked about again. */
export const REFUSED_TOKENS = 1_000;

/** TokenReviews in progress at the API server; others wait. */
export const TOKEN_REVIEWS_AT_ONCE = 32;

/** Tokens in review or waiting for it; beyond it calls are refused, and come again. */
export const TOKEN_REVIEWS_WAITING = 4_096;

/** A TokenReview that is not answered by then is given up; the call is refused. */
export const TOKEN_REVIEW_TIMEOUT_MS = 5_000;

/**
 * Certificates one caller may ask for at once, and per second after; beyond it RESOURCE_EXHAUSTED.
 * A node with 250 pods, each its own identity, starts within the burst.
 */
export const CERTIFICATE_BURST_PER_CALLER = 500;
export const CERTIFICATE_RATE_PER_CALLER_S = 20;

/** Callers whose rate is remembered; at the bound the one that asked longest ago is forgotten. */
export const CERTIFICATE_CALLERS = 10_000;

// --- status
// --------------------------------------------------------------------------------------------

/**
 * Pods whose last reported repair is remembered, so that one repair makes one Event; at the bound
 * the pod that was repaired the longest time ago is forgotten.
 */
export const REPORTED_REPAIRS_MAX = 10_000;

/** Events kept of one object of a folder source; at the bound the oldest is dropped. */
export const MAX_EVENTS_PER_OBJECT = 20;

/** An Event's message is cut here. Source: Kubernetes' own bound for Event messages. */
export const MAX_EVENT_MESSAGE_LENGTH = 1_024;

// --- policy statuses
// ---------------------------------------------------------------------------------

/** Issues told in full in a policy's condition; the others are counted, for a status is no log. */
export const POLICY_ISSUES_TOLD = 8;

/** Characters of an offending value in an issue; the rest is cut off. */
export const POLICY_ISSUE_VALUE_CHARACTERS = 100;

// --- ServiceEntries and WorkloadEntries
// ---------------------------------------------------------------------------------

/** Issues told in full in an entry's condition; the others are counted, for a status is no log. */
export const ENTRY_ISSUES_TOLD = 8;

// --- a source that loses objects
// ---------------------------------------------------------------------------------

/**
 * More objects of one kind than this do not all vanish at once: where no inventory says what is
 * there, they count as lost and stay in force.
 */
export const LOST_KIND_OBJECTS = 3;

/**
 * File events this close together are one change: published objects are whole, one to a file, so
 * that nothing has to be waited for but the rest of a burst.
 */
export const SOURCE_DEBOUNCE_MS = 5;

/** How often a source that has lost objects is asked whether it has them again. */
export const LOST_SOURCE_RECHECK_MS = 2_000;

/**
 * A verdict on a pod that is not known yet waits so long for it; then it fails, the sandbox with
 * it, and the kubelet makes another.
 */
export const VERDICT_WAIT_MS = 5_000;

/** Verdicts that wait at once; further ones fail at once, as if they had waited. */
export const VERDICT_WAITERS = 4_096;
