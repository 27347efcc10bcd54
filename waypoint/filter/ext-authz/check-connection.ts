/**
 * AuthorizationPolicy with action CUSTOM on a connection whose bytes are not looked into: who calls
 * whom is all that its provider is told, over gRPC. Every provider has to allow it; one that cannot
 * be asked denies, unless it says otherwise.
 */
import type { CompiledHttpRule } from "#common/authorization/http/compile.ts";
import { describeRule } from "#common/authorization/http/evaluate.ts";
import type { ExtAuthzProvider } from "#common/model/waypoint/policy.ts";
import { check } from "#common/xds/external-auth-rpc.ts";
import { type CallContext, callGrpc } from "../service-caller.ts";
import type { ExternalAuthorizationDeps } from "./ext-authz-stage.ts";
import { checkParties } from "./grpc-check.ts";
import { ANSWER_BYTES, CHECK_TIMEOUT_MS } from "./limits.ts";
import { providerId } from "./provider-id.ts";

/** Providers that have let a connection pass: they are not asked about it again. */
export type Permits = Set<string>;

/** Those of the rules whose provider has not let the connection pass yet. */
export function unsettledRules(
  rules: readonly CompiledHttpRule[],
  permits: Permits,
): readonly CompiledHttpRule[] {
  return rules.filter(
    ({ policy: { provider } }) => provider === undefined || !permits.has(providerId(provider)),
  );
}

/** Undefined: it may pass, and `permits` has who said so. Else why not, for the log. */
export async function checkConnection(
  rules: readonly CompiledHttpRule[],
  context: CallContext,
  permits: Permits,
  deps: ExternalAuthorizationDeps,
): Promise<string | undefined> {
  // Policies that name one provider ask it once: it is settled when the next one is looked at.
  for (const rule of rules) {
    if (unsettledRules([rule], permits).length === 0) continue;
    const { provider } = rule.policy;
    const answer = provider === undefined ? UNKNOWN_PROVIDER : await ask(provider, context, deps);
    if (answer.kind === "denied") return `${describeRule(rule)}: ${answer.why}`;
    if (answer.kind === "allowed" && provider) permits.add(providerId(provider));
  }
  return undefined;
}

type Answer =
  | { readonly kind: "allowed" }
  | { readonly kind: "denied"; readonly why: string }
  /** Nobody has decided, and that is enough. */
  | { readonly kind: "failed-open" };

const UNKNOWN_PROVIDER: Answer = { kind: "denied", why: "its provider is not known" };
const HTTP_PROVIDER: Answer = {
  kind: "denied",
  why: "its provider speaks HTTP, and about a connection only a gRPC provider can be asked",
};

async function ask(
  { protocol, namespace, hostname, port, timeoutMs, failOpen }: ExtAuthzProvider,
  context: CallContext,
  { call, now }: ExternalAuthorizationDeps,
): Promise<Answer> {
  if (protocol !== "grpc") return HTTP_PROVIDER;
  const answer = await callGrpc(call, {
    target: { namespace, hostname, port },
    method: check,
    message: { ...checkParties(context.downstream), timeMs: now() },
    timeoutMs: timeoutMs || CHECK_TIMEOUT_MS,
    maxResponseBytes: ANSWER_BYTES,
    context,
  });
  if ("failed" in answer) {
    return failOpen ? { kind: "failed-open" } : { kind: "denied", why: answer.failed };
  }
  if (answer.response.allowed) return { kind: "allowed" };
  return { kind: "denied", why: "its provider does not allow this connection" };
}
