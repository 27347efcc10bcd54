/** Short hands for AuthorizationPolicies and the rules that they become: for tests. */
import type { AuthorizationPolicy } from "#common/kubernetes/objects.ts";
import { EMPTY_MATCH, type Match, type Rule } from "#common/model/authorization.ts";
import { convertAuthorizationPolicy } from "./index.ts";

export const options = { rootNamespace: "istio-system" };
export const selector = { matchLabels: { app: "cart" } };

export function policy(spec: unknown, metadata: object = {}): AuthorizationPolicy {
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "p", namespace: "shop", ...metadata },
    spec: spec as NonNullable<AuthorizationPolicy["spec"]>,
  };
}

export const convert = (spec: unknown, metadata: object = {}) =>
  convertAuthorizationPolicy(policy(spec, metadata), options);

export const match = (fields: Partial<Match>): Match => ({ ...EMPTY_MATCH, ...fields });
export const any: Rule = { clauses: [] };
export const rule = (...clauses: Partial<Match>[][]): Rule => ({
  clauses: clauses.map((matches) => ({ matches: matches.map(match) })),
});

export const web: Partial<Match> = { namespaces: [{ kind: "exact", value: "web" }] };
export const port80: Partial<Match> = { destinationPorts: [80] };
export const fromWeb = { source: { namespaces: ["web"] } };
export const to80 = { operation: { ports: ["80"] } };
export const toGet = { operation: { methods: ["GET"] } };
export const fromJwt = { source: { requestPrincipals: ["*"] } };
export const whenHeader = { key: "request.headers[x-debug]", values: ["1"] };
