/** AuthorizationPolicy: DENY and ALLOW decide, AUDIT and dry runs are noted. */
import {
  authorize,
  describeRule,
  type HttpVerdict,
  unenforcedNotes,
} from "#common/authorization/http/evaluate.ts";
import { RequestView } from "#common/authorization/http/request-view.ts";
import type { LocalReply, Stage } from "../stage.ts";
import { NOTES_PER_REQUEST } from "./limits.ts";
import type { PolicySets } from "./policy-sets.ts";
import { factsOf } from "./request-facts.ts";

/** Envoy's words, which clients of Istio know. */
const DENIED_BODY = "RBAC: access denied";

/** Says why as one of `ReplyReason`, which names no policy; docs/l7-policies.md explains it. */
export const DENIED_BY_HEADER = "x-ambient-denied-by";

/** gRPC's PERMISSION_DENIED. */
const PERMISSION_DENIED = 7;

/** `sets` are of the layer "http". */
export function createAuthorizationStage(policySets: PolicySets): Stage {
  return (context) => {
    const sets = policySets.of(context.gateway, context.downstream.service);
    if (sets.length === 0) return undefined;
    const view = new RequestView(factsOf(context));
    context.notes.push(...unenforcedNotes(view, sets, NOTES_PER_REQUEST));
    const verdict = authorize(view, sets);
    return verdict.allowed ? undefined : denial(verdict);
  };
}

type Denial = Exclude<HttpVerdict, { readonly allowed: true }>;

function denial(verdict: Denial): LocalReply {
  const { reason } = verdict;
  return {
    status: 403,
    reason,
    body: DENIED_BODY,
    headers: [[DENIED_BY_HEADER, reason]],
    detail: describeDenial(verdict),
    grpcStatus: PERMISSION_DENIED,
  };
}

/** For the log. */
export function describeDenial(verdict: Denial): string {
  return verdict.reason === "denied-by-policy"
    ? describeRule(verdict.by)
    : "there are ALLOW policies, and none of their rules matches";
}
