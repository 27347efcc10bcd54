/** What an attempt to capture a pod, or a look at one that is captured, came to. */
import type { Problem } from "./pod-rules.ts";

/**
 * `absent`: there is nothing to capture (yet). `captured`: all is in place, after these problems
 * were found and mended, and so many connections ended that were opened meanwhile. `unstable`:
 * somebody works against it, so it is left broken for a while.
 */
export type CaptureOutcome =
  | { readonly kind: "absent"; readonly message: string }
  | { readonly kind: "captured"; readonly mended: readonly Problem[]; readonly ended: number }
  | {
      readonly kind: "unstable";
      readonly problems: readonly Problem[];
      readonly retryInMs: number;
    };

/** Nothing had to be done. */
export const CAPTURED: CaptureOutcome = { kind: "captured", mended: [], ended: 0 };
