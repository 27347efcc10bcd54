/** Every bound of the namespace cluster, with what happens at the bound. */

/**
 * The tmpfs that holds everything a cluster writes; at the bound writes fail with ENOSPC in the
 * pod.
 */
export const CLUSTER_TMPFS_SIZE = "4g";

/** Pods being started at once; further pods wait for a place. More only makes each one slower. */
export const CONCURRENT_POD_STARTS = 8;

/** A container log above this size is cut to its newer half. */
export const CONTAINER_LOG_MAX_BYTES = 8 * 1024 * 1024;
/** How often log sizes are looked at. */
export const CONTAINER_LOG_CHECK_MS = 1000;

/** A pod that could not be made (its ConfigMap is missing, say) is tried again after this long. */
export const POD_RETRY_MS = 1000;

/** A pod that does not come up in this time is torn down and tried again. */
export const SANDBOX_START_TIMEOUT_MS = 20_000;

/**
 * A container that exits is started again after these delays. A kubelet begins at 10 s and ends at
 * 5 min; on one machine, where people watch, that is only waiting.
 */
export const CONTAINER_BACKOFF_INITIAL_MS = 500;
export const CONTAINER_BACKOFF_MAX_MS = 30_000;
/** A container that ran this long starts again with the initial delay (a kubelet's rule). */
export const CONTAINER_BACKOFF_RESET_MS = 600_000;

/** ztunnel and istiod-lite are started again sooner: a mesh without them does not heal. */
export const MESH_BACKOFF_INITIAL_MS = 100;
export const MESH_BACKOFF_MAX_MS = 5_000;

/** SIGTERM, then this long, then SIGKILL, unless the pod says otherwise (Kubernetes' default). */
export const TERMINATION_GRACE_SECONDS = 30;

/** Until a container is ready for the first time its readiness is probed at least this often. */
export const FIRST_PROBE_PERIOD_MS = 250;
/** Bytes read of a probe's answer; the rest is not looked at. */
export const PROBE_RESPONSE_MAX_BYTES = 10 * 1024;

/** Seconds a cluster DNS answer may be cached (the default of Kubernetes' CoreDNS). */
export const DNS_TTL_SECONDS = 5;
/**
 * A UDP answer above this is cut and marked TC, unless the query's EDNS0 allows more (RFC 1035).
 */
export const DNS_UDP_MAX_BYTES = 512;
/** The most an EDNS0 query can ask for; no IP fragments below it (DNS flag day 2020). */
export const DNS_EDNS_MAX_BYTES = 1232;
/** DNS connections over TCP at once; further ones are closed at accept. */
export const DNS_TCP_CONNECTIONS_MAX = 128;
/** A DNS connection over TCP that is silent this long is closed. */
export const DNS_TCP_IDLE_MS = 10_000;

/**
 * Progress, change and problem lines kept for a client that attaches later; the oldest are dropped.
 */
export const EVENTS_KEPT = 500;

/** Service account tokens live this long and are replaced at half of it. */
export const TOKEN_TTL_SECONDS = 3600;

/** Body of a request to a cluster's control socket; more is refused with 413. */
export const CONTROL_BODY_MAX_BYTES = 1024 * 1024;

/** A cluster that did not start within this is ended, and the start counts as failed. */
export const CLUSTER_START_TIMEOUT_MS = 60_000;

/** A cluster counts as started after this long, whatever is missing then; the summary names it. */
export const START_PATIENCE_MS = 15_000;
/** How often the start is looked at, and how often what it waits for is said. */
export const START_POLL_MS = 20;
export const START_PROGRESS_MS = 2_000;

/** How often a pod that waits for its capture is looked at. */
export const CAPTURE_POLL_MS = 20;

/** How much of what a cluster wrote to standard error is kept for the report of its failure. */
export const LAST_WORDS_MAX_CHARS = 4096;

/** A cluster that was told to end is killed after this long. */
export const ORDERLY_STOP_MS = 2_000;

/** How long a program of the mesh may take to take over from another; then the old one stays. */
export const TAKE_OVER_TIMEOUT_MS = 30_000;

/** How often it is looked at meanwhile. */
export const TAKE_OVER_POLL_MS = 20;

/** A replaced program ends by its own drain deadline; one that has not by then is killed. */
export const REPLACED_GRACE_MS = 600_000;
