/** RateLimitPolicies whose target is a route: which services' waypoints are told, and when. */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { parse } from "yaml";
import { objectKey } from "#common/kubernetes/objects.ts";
import { validateObject } from "#common/kubernetes/validate/validate-object.ts";
import { l7Policies } from "#common/model/waypoint/policy.ts";
import { DEFAULT_REGISTRY_OPTIONS } from "../registry-options.ts";
import type { Affected, Mesh } from "../waypoints/contributions.ts";
import { WaypointPolicies } from "./policy-contributor.ts";

let bound: ReadonlySet<string>;
let policies: WaypointPolicies;
const mesh: Mesh = {
  service: () => undefined,
  serviceByRef: () => [],
  hasWaypoint: (kind, namespace, name) => bound.has(`${kind}/${namespace}/${name}`),
  workloads: () => [],
  workloadsWith: () => [],
  namespaceLabels: () => ({}),
};

beforeEach(() => {
  bound = new Set(["Service/shop/api"]);
  policies = new WaypointPolicies(DEFAULT_REGISTRY_OPTIONS);
});

function set(yaml: string): Affected {
  const { object, issues } = validateObject(parse(yaml));
  assert.deepEqual(issues, []);
  assert.ok(object);
  return policies.apply({ key: objectKey(object), kind: object.kind, object });
}

const API = "Service/shop/api";
const ROUTE = "{ kind: HTTPRoute, group: gateway.networking.k8s.io, name: r }";

const limit = (targets: string) => `
apiVersion: ambientmesh.dev/v1alpha1
kind: RateLimitPolicy
metadata: { name: few, namespace: shop }
spec:
  targetRefs: [${targets}]
  limits: [{ local: { requests: 1, per: 1m } }]
`;

const parent = (name: string) => `{ kind: Service, group: "", name: ${name} }`;

const route = (name: string, ...parents: string[]) => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name}, namespace: shop }
spec:
  parentRefs: [${parents.map(parent).join(", ")}]
  rules: [{ backendRefs: [{ name: api, port: 80 }] }]
`;

const limitsOf = (...targets: string[]) =>
  l7Policies.parse(policies.policiesOf(targets), "policies").rateLimits;
const condition = () => policies.takeStatuses(mesh)[0]?.conditions[0];

describe("a RateLimitPolicy of a route", () => {
  const r = { kind: "HTTPRoute", namespace: "shop", name: "r" };

  test("reaches the services that the route is of, whichever comes first", () => {
    assert.equal(set(limit(ROUTE)), "none");
    assert.deepEqual(set(route("r", "api", "web")), new Set([API, "Service/shop/web"]));
    assert.deepEqual(limitsOf(API)[0]?.routes, [r]);
    assert.deepEqual(limitsOf("Service/shop/web")[0]?.routes, [r]);
    assert.deepEqual(limitsOf("Service/shop/other"), []);
    policies = new WaypointPolicies(DEFAULT_REGISTRY_OPTIONS);
    assert.equal(set(route("r", "api")), "none");
    assert.deepEqual(set(limit(ROUTE)), new Set([API]));
    assert.deepEqual(limitsOf(API)[0]?.routes, [r]);
  });

  test("moves with the route's parents, and ends with the route or itself", () => {
    set(limit(ROUTE));
    set(route("r", "api"));
    assert.deepEqual(set(route("r", "web")), new Set([API, "Service/shop/web"]));
    assert.deepEqual(limitsOf(API), []);
    assert.equal(limitsOf("Service/shop/web").length, 1);
    const gone = policies.apply({ key: "HTTPRoute/shop/r", kind: "HTTPRoute" });
    assert.deepEqual(gone, new Set(["Service/shop/web"]));
    assert.deepEqual(limitsOf("Service/shop/web"), []);
    set(route("r", "api"));
    const key = "RateLimitPolicy/shop/few";
    assert.deepEqual(policies.apply({ key, kind: "RateLimitPolicy" }), new Set([API]));
    assert.deepEqual(limitsOf(API), []);
  });

  test("is one limit for all of its routes, and of everything where it is the service's, too", () => {
    set(route("r", "api"));
    set(route("s", "api"));
    set(limit(`${ROUTE}, ${ROUTE.replace("name: r", "name: s")}`));
    assert.deepEqual(
      limitsOf(API).map(({ key, routes }) => [key, routes?.map(({ name }) => name)]),
      [["shop/few[0]", ["r", "s"]]],
    );
    set(limit(`${ROUTE}, { kind: Service, name: api }`));
    assert.deepEqual(
      limitsOf(API).map(({ routes }) => routes),
      [undefined],
    );
  });

  test("says whether there is such a route, and whether a waypoint serves any of its services", () => {
    set(limit(ROUTE));
    const missing = condition();
    assert.equal(missing?.reason, "AncestorNotBound");
    assert.match(missing?.message ?? "", /HTTPRoute shop\/r: no such object/);
    set(route("r", "web", "api"));
    assert.equal(condition()?.status, "True");
    bound = new Set();
    policies.rebound([API]);
    const lost = condition();
    assert.equal(lost?.status, "False");
    assert.match(lost?.message ?? "", /HTTPRoute shop\/r: not bound to a waypoint/);
  });

  test("is the only policy that can have one", () => {
    const other = limit(ROUTE).replace("RateLimitPolicy", "RequestAuthentication");
    const written = other
      .replace("ambientmesh.dev/v1alpha1", "security.istio.io/v1")
      .replace(/limits:.*/, "jwtRules: [{ issuer: a, jwksUri: https://a/keys }]");
    const { issues } = validateObject(parse(written));
    assert.match(issues[0]?.message ?? "", /HTTPRoute is none of Gateway, GatewayClass, Service/);
  });
});
