/**
 * Security policies for the registry: `PolicyIndex` keeps all of them incrementally; the
 * conversions are pure functions that `analyze` and `meshctl policy test` can call for a single
 * policy.
 */
export { convertAuthorizationPolicy } from "./convert-authorization-policy.ts";
export { convertPeerAuthentications } from "./peer-authentication-index.ts";
export { PolicyIndex } from "./policy-index.ts";
export { ZTUNNEL_ACCEPTED } from "./status.ts";
export type {
  ConvertedAuthorizationPolicy,
  ConvertedPeerAuthentications,
  Policies,
  PolicyChange,
  PolicyIssue,
  PolicyKind,
  PolicyOptions,
} from "./types.ts";
export { WAYPOINT_ACCEPTED } from "./waypoint-status.ts";
