/** Random meshes whose objects meet each other often: for property tests of the registry. */
import fc from "fast-check";
import type { EndpointSlice, KubernetesObject, ObjectChange } from "#common/kubernetes/objects.ts";
import {
  absent,
  makeNamespace,
  makeNode,
  makePod,
  makeService,
  makeServiceEntry,
  makeWorkloadEntry,
  present,
} from "./registry-fixtures.ts";
import { anyGateway, withWaypoints } from "./waypoints/waypoint-arbitraries.ts";

// Few names, labels and addresses, so that random objects meet each other often.
const namespace = fc.constantFrom("shop", "bank", "istio-system");
const ip = fc.constantFrom("10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1");
const labels = fc.dictionary(
  fc.constantFrom("app", "tier", "istio.io/dataplane-mode"),
  fc.constantFrom("a", "b", "ambient", "none"),
  { maxKeys: 3, noNullPrototype: true },
);

const pod = fc
  .record({
    name: fc.constantFrom("p1", "p2", "p3"),
    namespace,
    labels,
    ips: fc.uniqueArray(ip, { maxLength: 2 }),
    node: fc.constantFrom("node-1", "node-2"),
    ready: fc.boolean(),
    hostNetwork: fc.boolean(),
    phase: fc.constantFrom("Running" as const, "Running" as const, "Succeeded" as const),
    captured: fc.boolean(),
  })
  .map(({ hostNetwork, phase, captured, ips, ready, ...shape }) =>
    makePod({
      ...shape,
      spec: { hostNetwork },
      annotations: captured ? { "ambient.istio.io/redirection": "enabled" } : {},
      status: {
        phase,
        podIPs: ips.map((each) => ({ ip: each })),
        conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
      },
    }),
  );

const service = fc
  .record({
    name: fc.constantFrom("s1", "s2"),
    namespace,
    selector: fc.option(
      fc.dictionary(fc.constantFrom("app", "tier"), fc.constantFrom("a", "b"), {
        maxKeys: 2,
        noNullPrototype: true,
      }),
      { nil: {} },
    ),
    external: fc.nat(9).map((n) => n === 0),
    notReady: fc.boolean(),
  })
  .map(({ name, namespace: ns, selector, external, notReady }) =>
    makeService(
      name,
      {
        type: external ? "ExternalName" : "ClusterIP",
        clusterIPs: [`10.96.0.${name.length}`],
        selector,
        ports: [{ name: "http", port: 80, targetPort: 8080 }],
        publishNotReadyAddresses: notReady,
      },
      { namespace: ns },
    ),
  );

const slice: fc.Arbitrary<EndpointSlice> = fc
  .record({
    name: fc.constantFrom("e1", "e2"),
    namespace,
    of: fc.constantFrom("s1", "s2"),
    addresses: fc.uniqueArray(ip, { maxLength: 3 }),
    port: fc.constantFrom(8080, 9090),
  })
  .map(({ name, namespace: ns, of, addresses, port }) => ({
    apiVersion: "discovery.k8s.io/v1" as const,
    kind: "EndpointSlice" as const,
    metadata: { name, namespace: ns, labels: { "kubernetes.io/service-name": of } },
    addressType: "IPv4" as const,
    endpoints: addresses.map((address) => ({ addresses: [address] })),
    ports: [{ name: "http", port }],
  }));

const authorizationPolicy = fc
  .record({ name: fc.constantFrom("a1", "a2"), namespace, app: fc.constantFrom("a", "b", "") })
  .map(({ name, namespace: ns, app }) => ({
    apiVersion: "security.istio.io/v1" as const,
    kind: "AuthorizationPolicy" as const,
    metadata: { name, namespace: ns },
    spec: { ...(app !== "" && { selector: { matchLabels: { app } } }), rules: [{}] },
  }));

const peerAuthentication = fc
  .record({
    name: fc.constantFrom("m1", "m2"),
    namespace,
    app: fc.constantFrom("a", ""),
    mode: fc.constantFrom("STRICT" as const, "PERMISSIVE" as const),
  })
  .map(({ name, namespace: ns, app, mode }) => ({
    apiVersion: "security.istio.io/v1" as const,
    kind: "PeerAuthentication" as const,
    metadata: { name, namespace: ns, creationTimestamp: `2026-01-01T00:00:0${name.length}Z` },
    spec: { ...(app !== "" && { selector: { matchLabels: { app } } }), mtls: { mode } },
  }));

const age = fc.constantFrom("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", undefined);
const created = (creationTimestamp: string | undefined) => ({
  ...(creationTimestamp !== undefined && { creationTimestamp }),
});
// Pods, services and entries all name some of these.
const disputedAddress = fc.constantFrom("10.0.0.1", "10.96.0.2", "192.0.2.1", "192.0.2.2");
const selector = fc.dictionary(fc.constantFrom("app", "tier"), fc.constantFrom("a", "b"), {
  maxKeys: 2,
  noNullPrototype: true,
});

const serviceEntry = fc
  .record({
    name: fc.constantFrom("e1", "e2"),
    namespace,
    hosts: fc.uniqueArray(
      fc.constantFrom("x.example.com", "y.example.com", "s1.shop.svc.cluster.local"),
      { minLength: 1, maxLength: 2 },
    ),
    addresses: fc.uniqueArray(
      fc.oneof(disputedAddress, fc.constantFrom("192.0.2.0/24", "10.0.0.0/8")),
      { maxLength: 2 },
    ),
    resolution: fc.constantFrom("STATIC" as const, "DNS" as const, "NONE" as const),
    endpoint: fc.option(disputedAddress, { nil: undefined }),
    selector: fc.option(selector, { nil: undefined }),
    exportTo: fc.constantFrom<string[]>([], ["."], ["bank"], ["~"]),
    age,
  })
  .map(({ name, namespace: ns, age: when, endpoint, selector: labels, resolution, ...spec }) => {
    const endpoints = endpoint === undefined ? [] : [{ address: endpoint }];
    const from = labels === undefined ? { endpoints } : { workloadSelector: { labels } };
    const source = resolution === "NONE" ? {} : from;
    const metadata = { namespace: ns, ...created(when) };
    return makeServiceEntry(name, { ...spec, resolution, ...source }, metadata);
  });

const workloadEntry = fc
  .record({
    name: fc.constantFrom("w1", "w2"),
    namespace,
    labels,
    address: fc.oneof(disputedAddress, fc.constant("vm.example.com")),
    age,
  })
  .map(({ name, namespace: ns, labels: own, address, age: when }) => {
    const metadata = { namespace: ns, labels: own, ...created(when) };
    return makeWorkloadEntry(name, { address, ports: { http: 7000 } }, metadata);
  });

export const anyMeshObject: fc.Arbitrary<KubernetesObject> = fc.oneof(
  { weight: 5, arbitrary: withWaypoints(pod) },
  { weight: 3, arbitrary: withWaypoints(service) },
  { weight: 3, arbitrary: slice },
  {
    weight: 2,
    arbitrary: withWaypoints(fc.tuple(namespace, labels).map(([n, l]) => makeNamespace(n, l))),
  },
  { weight: 3, arbitrary: anyGateway },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom("node-1", "node-2"), fc.constantFrom("z1", "z2"))
      .map(([name, zone]) => makeNode(name, { "topology.kubernetes.io/zone": zone })),
  },
  { weight: 4, arbitrary: withWaypoints(serviceEntry) },
  { weight: 3, arbitrary: withWaypoints(workloadEntry) },
  { weight: 2, arbitrary: authorizationPolicy },
  { weight: 2, arbitrary: peerAuthentication },
);

const change: fc.Arbitrary<ObjectChange> = fc
  .tuple(anyMeshObject, fc.nat(3))
  .map(([each, dice]) => (dice === 0 ? absent(each) : present(each))[0] as ObjectChange);

/** Batches of objects that come, change and go. */
export const history = fc.array(fc.array(change, { minLength: 1, maxLength: 4 }), {
  maxLength: 12,
});
