/** What encoding and decoding of istio.security.Authorization share. */
import type { PolicyAction, PolicyScope } from "#common/model/authorization.ts";

/** In wire order. Source: istio/ztunnel proto/authorization.proto at 62d82653. */
export const POLICY_SCOPES: readonly PolicyScope[] = ["global", "namespace", "workload-selector"];

/** In wire order, same source. AUDIT has no number: see AUDIT_EXTENSION. */
export const WIRE_ACTIONS: readonly PolicyAction[] = ["allow", "deny"];

/**
 * Name of the extension that holds an AUDIT policy: an Authorization with its rules. The policy
 * around it is a DENY without rules and a dry run, which no ztunnel of any version enforces: one
 * that reads neither `dry_run` nor extensions finds no rule that could match.
 */
export const AUDIT_EXTENSION = "ambientmesh.audit";
