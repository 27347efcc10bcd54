/**
 * AuthorizationPolicy with action CUSTOM: what a policy matches, its provider decides, after DENY
 * and ALLOW: who may not ask anyway costs no call. Every provider that is asked has to allow. A
 * provider that cannot be asked denies, unless it says otherwise; one that nobody knows always
 * does.
 */
import type { CompiledHttpRule } from "#common/authorization/http/compile.ts";
import { customRules, describeRule } from "#common/authorization/http/evaluate.ts";
import { RequestView } from "#common/authorization/http/request-view.ts";
import type { ExtAuthzProvider } from "#common/model/waypoint/policy.ts";
import type { PolicySets } from "../authorization/policy-sets.ts";
import { factsOf } from "../authorization/request-facts.ts";
import type { CallService } from "../service-caller.ts";
import type { LocalReply, PeekedBody, RequestContext, Stage } from "../stage.ts";
import type { CheckInput, CheckOutcome } from "./check.ts";
import { checkOverGrpc } from "./grpc-check.ts";
import { applyChanges, removeHeaders } from "./header-changes.ts";
import { checkOverHttp } from "./http-check.ts";
import { providerId } from "./provider-id.ts";

export interface ExternalAuthorizationDeps {
  readonly call: CallService;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** `policySets` are of the layer "http". */
export function createExternalAuthorizationStage(
  policySets: PolicySets,
  deps: ExternalAuthorizationDeps,
): Stage {
  return (context) => {
    const sets = policySets.of(context.gateway, context.downstream.service);
    if (sets.every(({ custom }) => custom.size === 0)) return undefined;
    const rules = customRules(new RequestView(factsOf(context)), sets);
    return rules.length === 0 ? undefined : askAll(rules, context, deps);
  };
}

async function askAll(
  rules: readonly CompiledHttpRule[],
  context: RequestContext,
  deps: ExternalAuthorizationDeps,
): Promise<LocalReply | undefined> {
  const asked = new Set<string>();
  for (const rule of rules) {
    const { provider } = rule.policy;
    if (provider === undefined) return error(rule, "its provider is not known", 403);
    // Policies that name one provider ask it once.
    const id = providerId(provider);
    if (asked.has(id)) continue;
    asked.add(id);
    const refused = await ask(provider, rule, context, deps);
    if (refused !== undefined) return refused;
  }
  return undefined;
}

async function ask(
  provider: ExtAuthzProvider,
  rule: CompiledHttpRule,
  context: RequestContext,
  deps: ExternalAuthorizationDeps,
): Promise<LocalReply | undefined> {
  const body = await bodyFor(provider, context);
  if (body === "too-large") return tooLarge(rule, provider);
  const outcome = await checked(body, { provider, context, ...deps });
  switch (outcome.kind) {
    case "allowed":
      applyChanges(context.head.headers, outcome.requestHeaders);
      removeHeaders(context.head.headers, outcome.removedHeaders);
      applyChanges(context.responseHeaders, outcome.responseHeaders);
      return undefined;
    case "denied": {
      const { status, body: text, headers } = outcome;
      const detail = describeRule(rule);
      return { status, reason: "external-authorization-denied", body: text, headers, detail };
    }
    case "error":
      if (!provider.failOpen) return error(rule, outcome.why, provider.statusOnError);
      context.notes.push(`external authorization failed open: ${outcome.why}`);
      return undefined;
  }
}

function checked(
  body: PeekedBody | "unavailable" | undefined,
  input: Omit<CheckInput, "body">,
): Promise<CheckOutcome> {
  if (body === "unavailable") {
    return Promise.resolve({ kind: "error", why: "the body of the request cannot be had" });
  }
  const check = input.provider.protocol === "grpc" ? checkOverGrpc : checkOverHttp;
  return check({ ...input, body });
}

async function bodyFor(
  { maxRequestBytes, allowPartialMessage }: ExtAuthzProvider,
  context: RequestContext,
): Promise<PeekedBody | "unavailable" | "too-large" | undefined> {
  if (maxRequestBytes === 0) return undefined;
  if (context.peekBody === undefined) return "unavailable";
  try {
    const body = await context.peekBody(maxRequestBytes);
    return body.complete || allowPartialMessage ? body : "too-large";
  } catch {
    // The client has gone: nobody reads what becomes of it.
    return "unavailable";
  }
}

const DENIED_BODY = "RBAC: access denied";

function error(rule: CompiledHttpRule, why: string, status: number): LocalReply {
  const detail = `${describeRule(rule)}: ${why}`;
  return { status, reason: "external-authorization-error", body: DENIED_BODY, detail };
}

function tooLarge(rule: CompiledHttpRule, { maxRequestBytes }: ExtAuthzProvider): LocalReply {
  return {
    status: 413,
    reason: "external-authorization-denied",
    body: "the request's body is larger than the external authorizer takes",
    detail: `${describeRule(rule)}: its provider takes ${maxRequestBytes} bytes`,
  };
}
