/** Objects that `kubectl apply` is refused or allowed, and what it has to say about them. */

export interface RefusedObject {
  readonly title: string;
  readonly object: object;
  /** As it stands in what kubectl prints. */
  readonly field: RegExp;
  readonly reason: RegExp;
}

export interface AllowedObject {
  readonly title: string;
  readonly object: object;
  /** Undefined: kubectl prints no warning. */
  readonly warning?: RegExp;
}

type Spec = Readonly<Record<string, unknown>>;

const make =
  (apiVersion: string, kind: string) =>
  (name: string, spec: Spec): object => ({
    apiVersion,
    kind,
    metadata: { name, namespace: "shop" },
    spec,
  });

export const authorizationPolicy = make("security.istio.io/v1", "AuthorizationPolicy");
const peerAuthentication = make("security.istio.io/v1", "PeerAuthentication");
const requestAuthentication = make("security.istio.io/v1", "RequestAuthentication");
const serviceEntry = make("networking.istio.io/v1", "ServiceEntry");
const destinationRule = make("networking.istio.io/v1", "DestinationRule");
const virtualService = make("networking.istio.io/v1", "VirtualService");
const workloadEntry = make("networking.istio.io/v1", "WorkloadEntry");
const gateway = make("gateway.networking.k8s.io/v1", "Gateway");
const httpRoute = make("gateway.networking.k8s.io/v1", "HTTPRoute");
const rateLimitPolicy = make("ambientmesh.dev/v1alpha1", "RateLimitPolicy");

const APP = { matchLabels: { app: "web" } };
const SERVICE = { kind: "Service", group: "", name: "web", port: 80 };

const from = (source: Spec): Spec => ({ rules: [{ from: [{ source }] }] });
const rules = (rule: Spec): Spec => ({ parentRefs: [SERVICE], rules: [rule] });

/** Nothing of them is stored. */
export const REFUSED: readonly RefusedObject[] = [
  {
    title: "a word that is no action",
    object: authorizationPolicy("bad", { action: "DNEY" }),
    field: /spec\.action/,
    reason: /DNEY.*DENY/s,
  },
  {
    title: "an address range with too many bits",
    object: authorizationPolicy("bad", from({ ipBlocks: ["10.0.0.0/33"] })),
    field: /spec\.rules\[0\]\.from\[0\]\.source\.ipBlocks\[0\]/,
    reason: /10\.0\.0\.0\/33/,
  },
  {
    title: "a port by its name",
    object: authorizationPolicy("bad", { rules: [{ to: [{ operation: { ports: ["http"] } }] }] }),
    field: /spec\.rules\[0\]\.to\[0\]\.operation\.ports\[0\]/,
    reason: /"http"/,
  },
  {
    title: "a condition on what does not exist",
    object: authorizationPolicy("bad", {
      rules: [{ when: [{ key: "request.header[x]", values: ["a"] }] }],
    }),
    field: /spec\.rules\[0\]\.when\[0\]\.key/,
    reason: /request\.header/,
  },
  {
    title: "a policy with a selector and targets at once",
    object: authorizationPolicy("bad", { selector: APP, targetRefs: [SERVICE] }),
    field: /spec/,
    reason: /targetRefs|selector/,
  },
  {
    title: "a field that nobody knows",
    object: authorizationPolicy("bad", { rule: [] }),
    field: /spec\.rule/,
    reason: /unknown field/,
  },
  {
    title: "a mode that is misspelt",
    object: peerAuthentication("bad", { mtls: { mode: "STRIKT" } }),
    field: /spec\.mtls\.mode/,
    reason: /STRIKT.*STRICT/s,
  },
  {
    title: "ports without a selector",
    object: peerAuthentication("bad", { portLevelMtls: { "8080": { mode: "DISABLE" } } }),
    field: /portLevelMtls|spec/,
    reason: /selector/,
  },
  {
    title: "tokens of nobody",
    object: requestAuthentication("bad", { jwtRules: [{ issuer: "" }] }),
    field: /spec\.jwtRules\[0\]\.issuer/,
    reason: /at least 1|empty|must/,
  },
  {
    title: "a foreign service without a host",
    object: serviceEntry("bad", { hosts: [], resolution: "DNS" }),
    field: /spec\.hosts/,
    reason: /at least 1|have|empty/,
  },
  {
    title: "a resolution by nothing",
    object: serviceEntry("bad", {
      hosts: ["api.example.test"],
      ports: [{ number: 70_000, name: "tls", protocol: "TLS" }],
      resolution: "DNS",
    }),
    field: /spec\.ports\[0\]\.number/,
    reason: /65535/,
  },
  {
    title: "a workload without an address",
    object: workloadEntry("bad", { address: "999.1.1.1" }),
    field: /spec\.address/,
    reason: /999\.1\.1\.1/,
  },
  {
    title: "a load balancer that is misspelt",
    object: destinationRule("bad", {
      host: "web",
      trafficPolicy: { loadBalancer: { simple: "ROUND_ROBBIN" } },
    }),
    field: /spec\.trafficPolicy\.loadBalancer\.simple/,
    reason: /ROUND_ROBBIN/,
  },
  {
    title: "a route with a timeout in words",
    object: httpRoute("bad", rules({ timeouts: { request: "5 seconds" } })),
    field: /spec\.rules\[0\]\.timeouts\.request/,
    reason: /5 seconds/,
  },
  {
    title: "a route of Istio's without anything to match by",
    object: virtualService("bad", { hosts: ["web"], http: [{ route: [{ weight: 100 }] }] }),
    field: /spec\.http\[0\]\.route\[0\]\.destination/,
    reason: /required|Required|missing/,
  },
  {
    title: "a waypoint without a listener of HBONE",
    object: gateway("bad", {
      gatewayClassName: "istio-waypoint",
      listeners: [{ name: "http", port: 80, protocol: "HTTP" }],
    }),
    field: /spec\.listeners/,
    reason: /needs a listener of HBONE/,
  },
  {
    title: "a limit of no requests",
    object: rateLimitPolicy("bad", {
      targetRefs: [SERVICE],
      limits: [{ requests: -1, unit: "SECOND" }],
    }),
    field: /spec/,
    reason: /requests|limits/,
  },
];

export const ALLOWED: readonly AllowedObject[] = [
  {
    title: "a policy by service account",
    object: authorizationPolicy("good", from({ principals: ["cluster.local/ns/shop/sa/a"] })),
  },
  {
    title: "a policy that allows nothing",
    object: authorizationPolicy("allow-nothing", {}),
  },
  {
    title: "a policy for a service that is not there",
    object: authorizationPolicy("early", {
      targetRefs: [{ kind: "Service", group: "", name: "later" }],
    }),
    warning: /Service shop\/later does not exist yet/,
  },
  {
    title: "a policy of requests, for ztunnels",
    object: authorizationPolicy("requests", {
      rules: [{ to: [{ operation: { methods: ["GET"] } }] }],
    }),
    warning: /methods/,
  },
  { title: "STRICT", object: peerAuthentication("good", { mtls: { mode: "STRICT" } }) },
  {
    title: "STRICT but for one port",
    object: peerAuthentication("ports", {
      selector: APP,
      portLevelMtls: { "8080": { mode: "PERMISSIVE" } },
    }),
  },
  {
    title: "a foreign service",
    object: serviceEntry("good", {
      hosts: ["api.example.test"],
      ports: [{ number: 443, name: "tls", protocol: "TLS" }],
      resolution: "DNS",
    }),
  },
  {
    title: "a waypoint",
    object: gateway("good", {
      gatewayClassName: "istio-waypoint",
      listeners: [{ name: "mesh", port: 15_008, protocol: "HBONE" }],
    }),
  },
  {
    title: "a Gateway of somebody else",
    object: gateway("edge", {
      gatewayClassName: "nginx",
      listeners: [{ name: "http", port: 80, protocol: "HTTP" }],
    }),
  },
  {
    title: "a route with a timeout",
    object: httpRoute("good", rules({ timeouts: { request: "5s" }, backendRefs: [SERVICE] })),
  },
];
