/** Every bound of istiod-lite, and what happens at it. */

/** Changes are gathered this long before they are pushed: a rollout is a few pushes, not hundreds. */
export const PUSH_DEBOUNCE_MS = 10;

/** Resources in one xDS response; the rest follows after its ACK. Keeps a full sync off the event loop. */
export const RESOURCES_PER_RESPONSE = 1_000;

/** Names one stream may subscribe to by name; beyond it the stream is ended with RESOURCE_EXHAUSTED. */
export const SUBSCRIPTIONS_PER_STREAM = 50_000;

/** Largest message taken from a proxy (a reconnect lists every name it holds). */
export const REQUEST_BYTES = 16 * 1024 * 1024;

/** HTTP/2 keepalive towards proxies. Source: istiod's keepalive of 30 s, timeout 10 s. */
export const KEEPALIVE_MS = 30_000;
export const KEEPALIVE_TIMEOUT_MS = 10_000;
