/** What is known of one pod while it is captured, and until it has been let go of. */
import type { CapturedPod, PodRepairs } from "#common/model/captured-pod.ts";
import { Backoff } from "#common/runtime/backoff.ts";
import { CAPTURE_BACKOFF_INITIAL_MS, CAPTURE_BACKOFF_MAX_MS } from "./limits.ts";
import type { PodCapture } from "./pod-capture.ts";

export interface Entry {
  readonly capture: PodCapture;
  readonly backoff: Backoff;
  /** The last pod record; needed to report after the pod is no longer wanted. */
  pod: CapturedPod;
  /** In a row. */
  failures: number;
  repairs: PodRepairs | undefined;
  /** Why it is reported as unstable; "" if it is not. */
  unstable: string;
  /**
   * The next attempt has its time: what is heard of the pod, our own doing maybe, changes nothing.
   */
  isHeldBack: boolean;
  /** No longer wanted and reported so, but still served for those who have not heard. */
  isRetired: boolean;
}

const BACKOFF = { initialMs: CAPTURE_BACKOFF_INITIAL_MS, maxMs: CAPTURE_BACKOFF_MAX_MS };

export function newEntry(pod: CapturedPod, capture: PodCapture): Entry {
  const standing = { failures: 0, unstable: "", isHeldBack: false, isRetired: false };
  return { capture, backoff: new Backoff(BACKOFF), pod, repairs: undefined, ...standing };
}

/** For people. */
export function nameOf(pod: CapturedPod): string {
  return `${pod.namespace}/${pod.name}`;
}
