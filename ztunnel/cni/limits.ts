/** Every bound of the CNI agent and its plugin, and what happens at it. */

/** What a plugin may send; more ends the connection, and the sandbox fails. */
export const REQUEST_BYTES = 1024 * 1024;

/** A plugin that has not said all by then is cut off. */
export const REQUEST_TIMEOUT_MS = 5_000;

/** Plugins that wait at once; further ones are let go, and call again for AGENT_PATIENCE_S. */
export const REQUESTS_AT_ONCE = 256;

/**
 * Until istiod-lite has to have said whether a pod is to be captured, asked again and again; then
 * the sandbox fails, and the kubelet makes another.
 */
export const VERDICT_DEADLINE_MS = 15_000;

/** One question to istiod-lite: longer than it waits for a pod to show up. */
export const VERDICT_TIMEOUT_MS = 7_000;

/** Between questions that failed. */
export const VERDICT_RETRY_MS = 250;

/** Until a pod has to be captured, once it is known; then the sandbox fails. */
export const CAPTURE_DEADLINE_MS = 10_000;

/** The plugin's whole wait for an answer: more than the two above. */
export const ANSWER_TIMEOUT_S = 35;

/** How long the plugin tries to reach an agent that is away, as while it is replaced. */
export const AGENT_PATIENCE_S = 5;

/** The socket and the node's CNI configuration are looked at this often, beside their events. */
export const LOOK_INTERVAL_MS = 5_000;

/** Events of the node's CNI configuration are collected this long: it is written in pieces. */
export const CONFIGURATION_PAUSE_MS = 50;

/** An order to leave the node that is older is no longer one. */
export const UNINSTALL_MARKER_MS = 30_000;

/** It is looked for, and written again, this often. */
export const UNINSTALL_LOOK_MS = 1_000;

/** istiod-lite has to have said by then whether the mesh leaves the node; else it stays. */
export const DEPARTURE_TIMEOUT_MS = 2_000;

/** A ztunnel that runs has to have let its pods go by then; else they are let go of without it. */
export const FAREWELL_DEADLINE_MS = 30_000;
