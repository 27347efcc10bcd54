/** In which order who is measured: a machine's drift should fall on everybody alike. */
import type { Mode } from "./metrics.ts";
import type { ContenderName } from "./samples.ts";

export interface Step {
  readonly contender: ContenderName;
  readonly mode: Mode;
}

/**
 * One round: each mode's contenders directly after one another, the first of them taking turns from
 * round to round. `round` counts from 0.
 */
export function planRound(modes: readonly Mode[], withPeer: boolean, round: number): Step[] {
  const steps = modes.map((mode): Step[] => {
    if (mode === "direct") return [{ contender: "direct", mode }];
    const ours: Step = { contender: "ours", mode };
    const peer: Step = { contender: "peer", mode };
    if (!withPeer) return [ours];
    return round % 2 === 0 ? [ours, peer] : [peer, ours];
  });
  return (round % 2 === 0 ? steps : steps.toReversed()).flat();
}
