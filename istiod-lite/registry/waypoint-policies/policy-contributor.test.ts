import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { parse } from "yaml";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import { objectKey } from "#common/kubernetes/objects.ts";
import { validateObject } from "#common/kubernetes/validate/validate-object.ts";
import { l7Policies, telemetry } from "#common/model/waypoint/policy.ts";
import { DEFAULT_REGISTRY_OPTIONS } from "../registry-options.ts";
import type { Affected, Mesh, ServiceFacts } from "../waypoints/contributions.ts";
import { WaypointPolicies } from "./policy-contributor.ts";

const API: ServiceFacts = {
  kind: "Service",
  namespace: "shop",
  name: "api",
  hostname: "api.shop.svc.cluster.local",
  ports: [],
  labels: {},
};

let services: ServiceFacts[];
let bound: boolean;
let policies: WaypointPolicies;
const mesh: Mesh = {
  service: () => undefined,
  serviceByRef: (kind, namespace, name) =>
    services.filter((s) => s.kind === kind && s.namespace === namespace && s.name === name),
  hasWaypoint: () => bound,
  workloads: () => [],
  workloadsWith: () => [],
  namespaceLabels: () => ({}),
};

beforeEach(() => {
  services = [API];
  bound = true;
  policies = new WaypointPolicies(DEFAULT_REGISTRY_OPTIONS);
});

function object(yaml: string): KubernetesObject {
  const { object: read, issues } = validateObject(parse(yaml));
  assert.deepEqual(issues, []);
  assert.ok(read);
  return read;
}

function set(yaml: string): Affected {
  const read = object(yaml);
  return policies.apply({ key: objectKey(read), kind: read.kind, object: read });
}

const SERVICE = "Service/shop/api";
const of = (...targets: string[]) => l7Policies.parse(policies.policiesOf(targets), "policies");

const DENY = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: no-debug, namespace: shop }
spec:
  targetRefs: [{ kind: Service, name: api, group: "" }]
  action: DENY
  rules:
  - from: [{ source: { principals: ["cluster.local/ns/shop/sa/web"] } }]
    to: [{ operation: { paths: ["/debug/*"], methods: [GET] } }]
    when: [{ key: "request.headers[x-debug]", values: ["1"] }]
`;

describe("a policy with targetRefs", () => {
  test("is given to whoever asks for its target, and to nobody else", () => {
    assert.deepEqual(set(DENY), new Set([SERVICE]));
    const [policy] = of(SERVICE).authorizations;
    assert.equal(policy?.key, "shop/no-debug");
    assert.equal(policy?.action, "deny");
    assert.deepEqual(policy?.rules[0]?.to, [{ paths: ["/debug/*"], methods: ["GET"] }]);
    assert.deepEqual(of("Service/shop/other").authorizations, []);
  });

  test("moves with its targetRefs, and names both targets as affected", () => {
    set(DENY);
    const moved = set(DENY.replace("name: api", "name: other"));
    assert.deepEqual(moved, new Set([SERVICE, "Service/shop/other"]));
    assert.deepEqual(of(SERVICE).authorizations, []);
    assert.equal(of("Service/shop/other").authorizations.length, 1);
  });

  test("is gone when it is deleted", () => {
    set(DENY);
    const key = "AuthorizationPolicy/shop/no-debug";
    assert.deepEqual(policies.apply({ key, kind: "AuthorizationPolicy" }), new Set([SERVICE]));
    assert.deepEqual(of(SERVICE).authorizations, []);
  });

  test("says whether its target exists, and says so again when that changes", () => {
    services = [];
    bound = false;
    set(DENY);
    const [missing] = policies.takeStatuses(mesh);
    assert.equal(missing?.conditions[0]?.type, "WaypointAccepted");
    assert.equal(missing?.conditions[0]?.status, "False");
    assert.equal(missing?.conditions[0]?.reason, "AncestorNotBound");
    assert.deepEqual(policies.takeStatuses(mesh), []);
    services = [API];
    bound = true;
    const service = object(`
apiVersion: v1
kind: Service
metadata: { name: api, namespace: shop }
spec: { ports: [{ port: 80 }] }
`);
    policies.apply({ key: SERVICE, kind: "Service", object: service });
    const [found] = policies.takeStatuses(mesh);
    assert.equal(found?.conditions[0]?.status, "True");
    assert.match(found?.conditions[0]?.message ?? "", /attached to Service shop\/api/);
  });

  test("says when its target has no waypoint, and when it gets one", () => {
    bound = false;
    set(DENY);
    const told = () => policies.takeStatuses(mesh)[0]?.conditions[0];
    const lost = told();
    assert.deepEqual([lost?.status, lost?.reason], ["False", "AncestorNotBound"]);
    assert.match(lost?.message ?? "", /not bound to a waypoint, so nothing enforces this policy/);
    bound = true;
    policies.rebound([SERVICE]);
    assert.equal(told()?.status, "True");
  });

  test("of action CUSTOM gets its provider from the mesh configuration", () => {
    const custom = DENY.replace("action: DENY", "action: CUSTOM\n  provider: { name: opa }");
    set(custom);
    assert.equal(of(SERVICE).authorizations[0]?.provider, undefined);
    assert.match(policies.takeStatuses(mesh)[0]?.conditions[0]?.message ?? "", /opa.*denied/);
    const config = `
apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data:
  mesh: |
    extensionProviders:
    - name: opa
      envoyExtAuthzGrpc: { service: opa.authz.svc.cluster.local, port: 9191, timeout: 0.25s }
`;
    assert.equal(set(config), "all");
    const { provider } = of(SERVICE).authorizations[0] ?? {};
    assert.deepEqual(
      [provider?.protocol, provider?.namespace, provider?.port, provider?.timeoutMs],
      ["grpc", "authz", 9191, 250],
    );
    assert.equal(provider?.failOpen, false);
  });
});

describe("what gets past admission", () => {
  const withRule = (action: string, rule: object) => {
    const policy = object(DENY.replace("DENY", action)) as unknown as { spec: object };
    Object.assign(policy.spec, { rules: [rule] });
    const given = policy as unknown as KubernetesObject;
    policies.apply({ key: objectKey(given), kind: given.kind, object: given });
    return of(SERVICE).authorizations[0]?.rules;
  };

  for (const rule of [
    { from: [] },
    { from: [{ source: { principals: [] } }] },
    { from: [{ source: { unheardOf: ["a"] } }] },
    { to: [{ operation: { ports: [80] } }] },
    { unheardOf: 1 },
    { when: [{ values: ["a"] }] },
    "no rule",
  ]) {
    test(`${JSON.stringify(rule)} permits nothing, and denies without it`, () => {
      assert.deepEqual(withRule("ALLOW", rule as object), []);
      assert.equal(withRule("DENY", rule as object)?.length, 1);
    });
  }
});

describe("RequestAuthentication, RateLimitPolicy and Telemetry", () => {
  test("reach the waypoint in its own words", () => {
    set(`
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt, namespace: shop }
spec:
  targetRefs: [{ kind: Gateway, group: gateway.networking.k8s.io, name: waypoint }]
  jwtRules:
  - issuer: https://issuer.example
    jwksUri: https://issuer.example/keys
    audiences: [shop]
    fromHeaders: [{ name: X-Token, prefix: "T " }]
    outputClaimToHeaders: [{ header: X-User, claim: sub }]
    timeout: 2s
`);
    set(`
apiVersion: ambientmesh.dev/v1alpha1
kind: RateLimitPolicy
metadata: { name: ten, namespace: shop }
spec:
  targetRefs: [{ kind: Service, name: api }]
  limits:
  - keys: [{ type: Header, name: X-Tenant }]
    local: { requests: 10, per: 1m }
  - global: { service: { name: limiter, port: 8081 }, domain: shop, failureMode: Allow }
`);
    const gateway = of("Gateway/shop/waypoint").requestAuthentications[0]?.rules[0];
    assert.deepEqual(gateway?.locations, [{ kind: "header", name: "x-token", prefix: "T " }]);
    assert.deepEqual(gateway?.outputClaimToHeaders, [{ claim: "sub", header: "x-user" }]);
    assert.equal(gateway?.timeoutMs, 2_000);
    const limits = of(SERVICE).rateLimits;
    assert.deepEqual(limits[0]?.local, { requests: 10, perMs: 60_000, burst: 10 });
    assert.deepEqual(limits[0]?.descriptors, [{ kind: "header", name: "x-tenant" }]);
    assert.equal(limits[1]?.global?.hostname, "limiter.shop.svc.cluster.local");
    assert.equal(limits[1]?.global?.failOpen, true);
  });

  test("of Telemetry the narrowest that says something counts", () => {
    const resolved = () =>
      telemetry.parse(policies.telemetryOf(["Gateway/shop/waypoint"]), "telemetry");
    assert.deepEqual(resolved().accessLog, { enabled: true, format: "text" });
    const logging = (namespace: string, spec: string) =>
      set(
        `
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: t, namespace: ${namespace} }
spec: ${spec}
`,
      );
    logging("istio-system", "{accessLogging: [{disabled: true}]}");
    assert.equal(resolved().accessLog.enabled, false);
    logging("shop", '{accessLogging: [{filter: {expression: "response.code >= 400"}}]}');
    assert.deepEqual(resolved().accessLog, {
      enabled: true,
      format: "text",
      filter: { minimumStatus: 400 },
    });
    logging("other", "{accessLogging: [{disabled: true}]}");
    assert.equal(resolved().accessLog.enabled, true);
  });

  test("traces go to the provider that a Telemetry names", () => {
    set(`
apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data:
  mesh: |
    extensionProviders:
    - name: otel
      opentelemetry: { service: otel.observe.svc.cluster.local, port: 4317 }
`);
    assert.equal(policies.telemetryOf([]).tracing, undefined);
    set(`
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: traces, namespace: istio-system }
spec:
  tracing:
  - providers: [{ name: otel }]
    randomSamplingPercentage: 12.5
    customTags: { tenant: { header: { name: X-Tenant } }, env: { literal: { value: prod } } }
`);
    assert.deepEqual(policies.telemetryOf([]).tracing, {
      samplingPercent: 12.5,
      protocol: "grpc",
      namespace: "observe",
      hostname: "otel.observe.svc.cluster.local",
      port: 4317,
      customTags: {
        tenant: { kind: "header", value: "x-tenant" },
        env: { kind: "literal", value: "prod" },
      },
    });
  });

  test("a mesh configuration that is no YAML leaves the defaults in force", () => {
    set(`
apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data: { mesh: "a: [" }
`);
    assert.equal(policies.telemetryOf([]).accessLog.enabled, true);
    assert.deepEqual(policies.meshSettings, { outboundTraffic: "unreadable" });
  });
});
