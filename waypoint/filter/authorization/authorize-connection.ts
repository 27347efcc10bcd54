/**
 * AuthorizationPolicy on a TCP connection through a waypoint. What asks for HTTP is not there to be
 * compared: an ALLOW rule that asks for it never matches, a DENY is held to the rest of it.
 */
import type { CompiledHttpRule } from "#common/authorization/http/compile.ts";
import { authorize, customRules } from "#common/authorization/http/evaluate.ts";
import { RequestView } from "#common/authorization/http/request-view.ts";
import type { GatewayConfig } from "#common/model/waypoint/resource.ts";
import type { Downstream } from "../stage.ts";
import { describeDenial } from "./authorization-stage.ts";
import type { PolicySets } from "./policy-sets.ts";
import { DownstreamFacts } from "./request-facts.ts";

export interface ConnectionVerdict {
  /** Absent: allowed, as far as DENY and ALLOW go. */
  readonly denied?: {
    readonly reason: "denied-by-policy" | "no-allow-matched";
    /** For the log. */
    readonly detail: string;
  };
  /** Whose providers are to be asked as well. */
  readonly custom: readonly CompiledHttpRule[];
}

const ALLOWED: ConnectionVerdict = { custom: [] };

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
  const verdict = authorize(view, sets);
  if (verdict.allowed) return { custom: customRules(view, sets) };
  return { denied: { reason: verdict.reason, detail: describeDenial(verdict) }, custom: [] };
}
