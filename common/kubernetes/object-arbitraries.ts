/** Random valid objects of every kind, for property tests. */
import fc from "fast-check";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";

const letters = "abcdefghijklmnopqrstuvwxyz";
const edge = fc.constantFrom(...letters);
const label = fc
  .tuple(edge, fc.string({ unit: fc.constantFrom(...letters, "0", "9", "-"), maxLength: 8 }), edge)
  .map((parts) => parts.join(""));
const value = fc.oneof(
  label,
  fc.constantFrom("", "true", "1", "1e3", "null", "yes", "0x10", "A_b.c"),
);
const labels = fc.dictionary(
  fc.oneof(
    label,
    label.map((name) => `example.com/${name}`),
  ),
  value,
  {
    maxKeys: 3,
    noNullPrototype: true,
  },
);
const anyText = fc.string({ unit: "grapheme", maxLength: 20 });
const annotations = fc.dictionary(label, anyText, { maxKeys: 3, noNullPrototype: true });
const port = fc.integer({ min: 1, max: 65_535 });
const ip = fc.oneof(fc.ipV4(), fc.ipV6());

/** Fields that may be missing are missing, never undefined. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }, required: (keyof T)[]) {
  return fc.record(model, { requiredKeys: required as never[], noNullPrototype: true });
}

const metadata = (namespaced: boolean) =>
  record(
    {
      name: label,
      labels,
      annotations,
      uid: fc.uuid(),
      ...(namespaced ? { namespace: label } : {}),
    },
    namespaced ? (["name", "namespace"] as never[]) : ["name"],
  );

const list = <T>(item: fc.Arbitrary<T>) => fc.array(item, { minLength: 1, maxLength: 3 });
const portText = port.map(String);
const cidr = fc
  .ipV4()
  .chain((address) => fc.integer({ min: 0, max: 32 }).map((n) => `${address}/${n}`));
const principal = fc.oneof(
  label.map((name) => `cluster.local/ns/${name}/sa/x`),
  fc.constant("*"),
);

const rule = record(
  {
    from: list(
      fc.record(
        { source: record({ principals: list(principal), ipBlocks: list(cidr) }, ["principals"]) },
        { noNullPrototype: true },
      ),
    ),
    to: list(
      fc.record(
        { operation: record({ ports: list(portText), notPorts: list(portText) }, ["ports"]) },
        { noNullPrototype: true },
      ),
    ),
    when: list(
      fc.record({ key: fc.constant("source.ip"), values: list(cidr) }, { noNullPrototype: true }),
    ),
  },
  [],
);

const container = record(
  {
    name: fc.constant("main"),
    image: label,
    command: list(anyText),
    env: fc
      .uniqueArray(label, { maxLength: 2 })
      .map((names) => names.map((name) => ({ name, value: "v" }))),
    ports: port.map((containerPort) => [{ name: "http", containerPort }]),
    readinessProbe: fc.constant({ httpGet: { path: "/", port: 80 }, periodSeconds: 1 }),
  },
  ["name", "image"],
);

const kinds: Record<string, [apiVersion: string, namespaced: boolean, fields: object]> = {
  Node: ["v1", false, { spec: fc.ipV4().map((address) => ({ podCIDR: `${address}/24` })) }],
  Namespace: ["v1", false, {}],
  ServiceAccount: ["v1", true, {}],
  ConfigMap: ["v1", true, { data: annotations }],
  Pod: [
    "v1",
    true,
    {
      spec: record(
        { containers: list(container).map((all) => all.slice(0, 1)), hostNetwork: fc.boolean() },
        ["containers"],
      ),
      status: ip.map((podIP) => ({ podIP, podIPs: [{ ip: podIP }] })),
    },
  ],
  Deployment: [
    "apps/v1",
    true,
    {
      spec: fc.tuple(label, container, fc.nat({ max: 9 })).map(([app, main, replicas]) => ({
        replicas,
        selector: { matchLabels: { app } },
        template: { metadata: { labels: { app } }, spec: { containers: [main] } },
      })),
    },
  ],
  Service: [
    "v1",
    true,
    {
      spec: fc
        .tuple(port, labels)
        .map(([number, selector]) => ({ selector, ports: [{ port: number, targetPort: "http" }] })),
    },
  ],
  EndpointSlice: [
    "discovery.k8s.io/v1",
    true,
    {
      addressType: fc.constant("IPv4"),
      endpoints: fc
        .array(fc.integer({ min: 1, max: 254 }), { maxLength: 3 })
        .map((hosts) =>
          hosts.map((host) => ({ addresses: [`10.1.2.${host}`], conditions: { ready: true } })),
        ),
    },
  ],
  ServiceEntry: [
    "networking.istio.io/v1",
    true,
    {
      spec: fc.tuple(label, port, ip, fc.nat({ max: 255 })).map(([host, number, vip, last]) => ({
        hosts: [`${host}.example.com`],
        addresses: [vip],
        ports: [{ number, name: "http", protocol: "HTTP" }],
        resolution: "STATIC",
        endpoints: [{ address: `192.0.2.${last}` }],
      })),
    },
  ],
  WorkloadEntry: [
    "networking.istio.io/v1",
    true,
    {
      spec: fc
        .tuple(label, labels, fc.nat({ max: 9 }))
        .map(([host, own, weight]) => ({ address: `${host}.example.com`, labels: own, weight })),
    },
  ],
  AuthorizationPolicy: [
    "security.istio.io/v1",
    true,
    {
      spec: fc
        .array(rule, { minLength: 1, maxLength: 3 })
        .map((rules) => ({ action: "DENY", rules })),
    },
  ],
  PeerAuthentication: [
    "security.istio.io/v1",
    true,
    {
      spec: fc
        .tuple(label, port, fc.constantFrom("STRICT", "PERMISSIVE", "DISABLE"))
        .map(([app, number, mode]) => ({
          selector: { matchLabels: { app } },
          mtls: { mode },
          portLevelMtls: { [number]: { mode } },
        })),
    },
  ],
  HTTPRoute: [
    "gateway.networking.k8s.io/v1",
    true,
    {
      spec: fc.tuple(label, port, fc.nat({ max: 9 })).map(([name, number, weight]) => ({
        parentRefs: [{ group: "", kind: "Service", name, port: number }],
        rules: [{ backendRefs: [{ name, port: number, weight }] }],
      })),
    },
  ],
  ReferenceGrant: [
    "gateway.networking.k8s.io/v1",
    true,
    {
      spec: label.map((namespace) => ({
        from: [{ group: "gateway.networking.k8s.io", kind: "HTTPRoute", namespace }],
        to: [{ group: "", kind: "Service" }],
      })),
    },
  ],
};

/** One object of any kind. */
export const anyObject: fc.Arbitrary<KubernetesObject> = fc.oneof(
  ...Object.entries(kinds).map(([kind, [apiVersion, namespaced, fields]]) =>
    fc
      .record(
        {
          apiVersion: fc.constant(apiVersion),
          kind: fc.constant(kind),
          metadata: metadata(namespaced),
          ...fields,
        },
        { noNullPrototype: true },
      )
      .map((object) => object as unknown as KubernetesObject),
  ),
);
