/**
 * AuthorizationPolicy on a TCP connection through a waypoint. What asks for HTTP is not there to be
 * compared: an ALLOW rule that asks for it never matches, a DENY is held to the rest of it. Nobody
 * can be asked about a connection: what a CUSTOM policy matches is refused.
 */
import {
  authorize,
  customRules,
  describeRule,
  unenforcedNotes,
} from "#common/authorization/http/evaluate.ts";
import { RequestView } from "#common/authorization/http/request-view.ts";
import type { GatewayConfig } from "#common/model/waypoint/resource.ts";
import type { Downstream } from "../stage.ts";
import { describeDenial } from "./authorization-stage.ts";
import { NOTES_PER_REQUEST } from "./limits.ts";
import type { PolicySets } from "./policy-sets.ts";
import { DownstreamFacts } from "./request-facts.ts";

export interface ConnectionVerdict {
  /** Absent: allowed. */
  readonly denied?: {
    readonly reason: "denied-by-policy" | "no-allow-matched" | "external-authorization-error";
    /** For the log. */
    readonly detail: string;
  };
  /** Of AUDIT policies and dry runs. */
  readonly notes: readonly string[];
}

const ALLOWED: ConnectionVerdict = { notes: [] };

/**
 * To be asked before the first byte goes on, and again for standing connections when the policies
 * change. `policySets` are of the layer "connection".
 */
export function authorizeConnection(
  downstream: Downstream,
  gateway: GatewayConfig,
  policySets: PolicySets,
): ConnectionVerdict {
  const sets = policySets.of(gateway, downstream.service);
  if (sets.length === 0) return ALLOWED;
  const view = new RequestView(new DownstreamFacts(downstream, undefined));
  const notes = unenforcedNotes(view, sets, NOTES_PER_REQUEST);
  const verdict = authorize(view, sets);
  if (!verdict.allowed) {
    return { denied: { reason: verdict.reason, detail: describeDenial(verdict) }, notes };
  }
  const [custom] = customRules(view, sets);
  if (custom === undefined) return { notes };
  const detail = `${describeRule(custom)} asks an external authorizer, which needs HTTP`;
  return { denied: { reason: "external-authorization-error", detail }, notes };
}
