/**
 * The `WaypointAccepted` condition of an attached policy, with Istio's reasons (ambient.md F83).
 */
import type { L7PolicyObject } from "#common/kubernetes/l7-policy-objects.ts";
import type { AuthorizationPolicy, Condition } from "#common/kubernetes/objects.ts";
import { condition } from "../policies/status.ts";
import { WAYPOINT_ACCEPTED } from "../policies/waypoint-status.ts";
import { targetKeys } from "./targets.ts";
import { statusFilter } from "./telemetry.ts";

interface Standing {
  /** Targets that do not exist. */
  readonly missing: readonly string[];
  /** Those that no waypoint serves, the missing ones among them. */
  readonly unserved: readonly string[];
  readonly authorizerKnown: (provider: string) => boolean;
}

type Outcome = Pick<Parameters<typeof condition>[0], "accepted" | "reason" | "message">;

export function attachment(
  policy: AuthorizationPolicy | L7PolicyObject,
  standing: Standing,
): Condition {
  const { generation } = policy.metadata;
  return condition({ type: WAYPOINT_ACCEPTED, generation, ...outcomeOf(policy, standing) });
}

function outcomeOf(policy: AuthorizationPolicy | L7PolicyObject, standing: Standing): Outcome {
  const { missing, unserved, authorizerKnown } = standing;
  const targets = targetKeys(policy);
  const found = targets.filter((target) => !unserved.includes(target));
  if (targets.length > 0 && found.length === 0) {
    const why = targets.map((target) => whyNot(target, missing)).join(", ");
    const message = `${why}, so nothing enforces this policy`;
    return { accepted: false, reason: "AncestorNotBound", message };
  }
  const problem = problemOf(policy, authorizerKnown);
  if (problem !== undefined)
    return { accepted: true, reason: "PartiallyInvalid", message: problem };
  const where = found.length === 0 ? "its namespace" : found.map(readable).join(", ");
  if (unserved.length > 0) {
    const rest = unserved.map((target) => whyNot(target, missing)).join(", ");
    const message = `attached to ${where}; ${rest}`;
    return { accepted: true, reason: "PartiallyInvalid", message };
  }
  return { accepted: true, reason: "Accepted", message: `attached to ${where}` };
}

function problemOf(
  policy: AuthorizationPolicy | L7PolicyObject,
  authorizerKnown: Standing["authorizerKnown"],
): string | undefined {
  if (policy.kind === "AuthorizationPolicy" && policy.spec?.action === "CUSTOM") {
    const { name = "" } = policy.spec.provider ?? {};
    if (authorizerKnown(name)) return undefined;
    const unknown = `provider ${name} is none of the mesh configuration's extensionProviders`;
    return `${unknown}: whatever this policy matches is denied`;
  }
  if (policy.kind === "Telemetry") {
    const filter = policy.spec?.accessLogging?.at(-1)?.filter?.expression;
    if (filter === undefined || statusFilter(filter) !== undefined) return undefined;
    const ignored = `filter ${JSON.stringify(filter)} is not understood`;
    return `${ignored}, so every request is logged: write response.code >= 400`;
  }
  return undefined;
}

function whyNot(target: string, missing: readonly string[]): string {
  const why = missing.includes(target) ? "no such object" : "not bound to a waypoint";
  return `${readable(target)}: ${why}`;
}

/** `Service/shop/api` as people say it. */
function readable(target: string): string {
  const [kind, namespace, name] = target.split("/");
  return namespace === "" ? `${kind} ${name}` : `${kind} ${namespace}/${name}`;
}
