/** Inputs that people might write, and that nobody should. */

const LEVELS = 9;
const DEEP = 1_000;

/** Each list is ten of the one before. */
function billionLaughs(): string {
  const lines = ["a0: &a0 [lol, lol]"];
  for (let i = 1; i <= LEVELS; i++) {
    lines.push(`a${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join(", ")}]`);
  }
  return `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  ${lines.join("\n  ")}\n`;
}

export const BOMBS: readonly string[] = [
  billionLaughs(),
  "[".repeat(DEEP),
  `${'{"a":'.repeat(DEEP)}1${"}".repeat(DEEP)}`,
  `${"- ".repeat(DEEP)}x`,
  `a: ${"x".repeat(5_000)}`,
  `a: "${"\\u0041".repeat(3_000)}"`,
  Array.from({ length: 500 }, () => "a: 1").join("\n"),
  Array.from({ length: 300 }, (_, i) => `k${i}: &a${i} {<<: *a${i - 1}}`).join("\n"),
  "? [complex, key]\n: value\n? {a: b}\n: c\n",
  "a: &a\n  b: *a\n",
  "kind: List\nitems: [{kind: List, items: []}, 1, null]\n",
];

export const POLICIES = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: a, namespace: shop}
spec:
  action: ALLOW
  rules:
  - from: [{source: {principals: ["cluster.local/ns/web/sa/front"], notNamespaces: ["sh*"]}}]
    to: [{operation: {ports: ["80"]}}]
    when: [{key: source.ip, values: [10.0.0.0/24], notValues: [10.0.0.9]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: b, namespace: shop}
spec:
  action: DENY
  rules:
  - from: [{source: {serviceAccounts: [cart, web/front]}}, {source: {notIpBlocks: ["::/0"]}}]
  - to: [{operation: {methods: [GET], notPorts: ["8080"]}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: c, namespace: shop}
spec: {}
`;

export const LOCAL_STATE = `workloads:
- uid: c1//v1/Pod/shop/web-1
  name: web-1
  namespace: shop
  serviceAccount: web
  workloadIps: [10.0.0.1, "fd00::1"]
  protocol: HBONE
  node: n1
  waypoint: {destination: "/10.0.0.9", hboneMtlsPort: 15008}
  services:
    shop/web.shop.svc.cluster.local: {80: 8080}
services:
- name: web
  namespace: shop
  hostname: web.shop.svc.cluster.local
  vips: [/10.9.0.1]
  cidrVips: [{network: "", cidr: 10.8.0.0/16}]
  ports: {80: 8080}
policies:
- name: p
  namespace: shop
  scope: Namespace
  action: Deny
  rules:
  - - - notPrincipals: [!Presence []]
        namespaces: [!Exact shop]
`;
