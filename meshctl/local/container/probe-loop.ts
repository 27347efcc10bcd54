/** When to probe, and how many successes or failures in a row change a container's standing. */
import type { Probe } from "#common/kubernetes/objects.ts";
import { FIRST_PROBE_PERIOD_MS } from "#meshctl/local/limits.ts";
import type { ProbeOutcome } from "./probe-check.ts";

/** Kubernetes' defaults. */
const DEFAULTS = { periodSeconds: 10, successThreshold: 1, failureThreshold: 3 } as const;

export interface ProbeLoopOptions {
  readonly probe: Probe;
  readonly check: () => Promise<ProbeOutcome>;
  /**
   * Called when enough successes or failures in a row have come in, and for each further such
   * round.
   */
  readonly onVerdict: (passing: boolean, message: string) => void;
  /** What the last look said, as long as it failed: for people. */
  readonly onMessage: (message: string) => void;
  /**
   * Look more often than the period until the first success, so that nobody waits ten seconds for a
   * server that needs one: for readiness and startup, where failures before that cost nothing.
   */
  readonly eager: boolean;
}

/** Runs until `stop`; one look at a time. */
export class ProbeLoop {
  readonly #options: ProbeLoopOptions;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #successes = 0;
  #failures = 0;
  #passedOnce = false;
  readonly #startedAt = Date.now();

  constructor(options: ProbeLoopOptions) {
    this.#options = options;
    const initialMs = (options.probe.initialDelaySeconds ?? 0) * 1000;
    this.#timer = setTimeout(() => void this.#round(), initialMs);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #round(): Promise<void> {
    const outcome = await this.#options.check();
    if (this.#stopped) return;
    this.#count(outcome);
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#round(), this.#periodMs());
  }

  #count(outcome: ProbeOutcome): void {
    const { probe, onVerdict } = this.#options;
    if (outcome.ok) {
      this.#failures = 0;
      this.#passedOnce = true;
      if (++this.#successes === (probe.successThreshold ?? DEFAULTS.successThreshold)) {
        onVerdict(true, "");
      }
      return;
    }
    this.#successes = 0;
    this.#options.onMessage(outcome.message);
    if (!this.#countsFailure()) return;
    this.#failures++;
    if (this.#failures % (probe.failureThreshold ?? DEFAULTS.failureThreshold) === 0) {
      onVerdict(false, outcome.message);
    }
  }

  /** Eager looks are extra: only one per period counts as a failure. */
  #countsFailure(): boolean {
    if (!this.#options.eager || this.#passedOnce) return true;
    const periods = Math.floor((Date.now() - this.#startedAt) / this.#fullPeriodMs());
    return this.#failures <= periods - 1;
  }

  #periodMs(): number {
    const full = this.#fullPeriodMs();
    return this.#options.eager && !this.#passedOnce ? Math.min(full, FIRST_PROBE_PERIOD_MS) : full;
  }

  #fullPeriodMs(): number {
    return (this.#options.probe.periodSeconds ?? DEFAULTS.periodSeconds) * 1000;
  }
}
