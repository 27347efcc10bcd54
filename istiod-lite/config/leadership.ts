/**
 * Who of several replicas writes. All of them read, derive and serve; one writes what all of them
 * derive alike.
 */

export interface Leadership {
  /** Whether this process may write now: to be asked before every write. */
  readonly isLeader: boolean;
  /** Aborted when leadership is lost: what is being written goes with it. Another one each term. */
  readonly signal: AbortSignal;
  /** Has the listener called whenever leadership was gained (true) or lost (false). */
  onChange(listener: (isLeader: boolean) => void): void;
}

const NEVER = new AbortController().signal;

/** Of a process that has no replicas. */
export const ALWAYS_LEADING: Leadership = {
  isLeader: true,
  signal: NEVER,
  onChange: () => undefined,
};
