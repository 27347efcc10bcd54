/** Policies of one rule and what they do to a request: for tests. */
import type { L7Authorization, L7Rule } from "#common/model/waypoint/policy.ts";
import { authorization, type RequestOptions, request } from "../request-fixture.ts";
import { createAuthorizationStage } from "./authorization-stage.ts";
import { PolicySets } from "./policy-sets.ts";

export const stage = createAuthorizationStage(new PolicySets("http"));

/** `200` where the request goes on. */
export async function status(policies: readonly L7Authorization[], options: RequestOptions = {}) {
  const reply = await stage(request({ ...options, policies: { authorizations: policies } }));
  return reply === undefined ? 200 : `${reply.status} ${reply.reason}`;
}

export const DENIED = "403 denied-by-policy";
export const NOT_ALLOWED = "403 no-allow-matched";

export const deny = (rule: Partial<L7Rule>) => [authorization("deny", "deny", [rule])];
export const allow = (rule: Partial<L7Rule>) => [authorization("allow", "allow", [rule])];
export const to = (operation: L7Rule["to"][number]): Partial<L7Rule> => ({ to: [operation] });
export const when = (key: string, values?: string[], notValues?: string[]): Partial<L7Rule> => ({
  when: [{ key, ...(values && { values }), ...(notValues && { notValues }) }],
});
