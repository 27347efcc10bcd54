/** What the waypoints of the cases with policies and with routes are told. */
import { ISSUER, jwks, TEAM } from "./token.ts";

const DENY_POLICIES = 9;
const ROUTES = 500;

/** Of the route that comes last. */
export const routePath = `/r${ROUTES - 1}/Say`;
/** Of none of the routes. */
export const unroutedPath = "/unrouted";

const TARGET = { targetRefs: [{ group: "", kind: "Service", name: "server" }] };

/**
 * Nine policies that deny something else, each by another field, and one that permits what has a
 * token of the right team.
 */
export async function policyObjects(namespace: string): Promise<readonly object[]> {
  const authentication = {
    apiVersion: "security.istio.io/v1",
    kind: "RequestAuthentication",
    metadata: { name: "tokens", namespace },
    spec: { ...TARGET, jwtRules: [{ issuer: ISSUER, jwks: await jwks() }] },
  };
  const denials = Array.from({ length: DENY_POLICIES }, (_, i) => {
    return policy(namespace, `deny-${i}`, "DENY", [deniedRule(i)]);
  });
  const allowed = {
    from: [{ source: { requestPrincipals: [`${ISSUER}/*`] } }],
    to: [{ operation: { methods: ["GET", "POST"], paths: ["/bench.Echo/*"] } }],
    when: [{ key: "request.auth.claims[team]", values: [TEAM] }],
  };
  return [authentication, ...denials, policy(namespace, "allow", "ALLOW", [allowed])];
}

function deniedRule(i: number): object {
  const rules = [
    { to: [{ operation: { paths: [`/admin${i}/*`] } }] },
    { when: [{ key: "request.headers[x-tenant]", values: [`tenant${i}`] }] },
    { from: [{ source: { namespaces: [`other${i}`] } }] },
  ];
  return rules[i % rules.length] ?? {};
}

function policy(namespace: string, name: string, action: string, rules: readonly object[]): object {
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name, namespace },
    spec: { ...TARGET, action, rules },
  };
}

/** For each of these ports of the service, one route for each path below `/r0` to `/r499`. */
export function routeObjects(namespace: string, ports: readonly number[]): readonly object[] {
  return ports.flatMap((port) =>
    Array.from({ length: ROUTES }, (_, i) => route(namespace, port, i)),
  );
}

function route(namespace: string, port: number, i: number): object {
  const server = { name: "server", port };
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name: `route-${port}-${i}`, namespace },
    spec: {
      parentRefs: [{ group: "", kind: "Service", ...server }],
      rules: [
        {
          matches: [{ path: { type: "PathPrefix", value: `/r${i}` } }],
          backendRefs: [server],
        },
      ],
    },
  };
}
