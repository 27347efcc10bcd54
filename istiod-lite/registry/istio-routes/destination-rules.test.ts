/** DestinationRules as people have them: what a waypoint gets, and what their status says. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TRUST_NOBODY } from "../routes/ca-certificates.ts";
import { destinationRule, parsed, Shop, shopPod, shopService } from "./istio-fixtures.ts";

type Json = Readonly<Record<string, unknown>>;

const policies: [string, string, Json][] = [
  [
    "bounds of connections",
    `connectionPool:
  tcp: { maxConnections: 100, connectTimeout: 30ms, idleTimeout: 1h }
  http:
    http1MaxPendingRequests: 1
    http2MaxRequests: 1000
    maxRequestsPerConnection: 10
    maxRetries: 5
    idleTimeout: 90s
    h2UpgradePolicy: UPGRADE`,
    {
      connectionPool: {
        maxConnections: 100,
        connectTimeoutMs: 30,
        maxPendingRequests: 1,
        maxRequests: 1_000,
        maxRetries: 5,
        maxRequestsPerConnection: 10,
        idleTimeoutMs: 90_000,
        http2Upgrade: true,
      },
    },
  ],
  [
    "TLS with a server outside",
    "tls: { mode: SIMPLE, sni: api.example, subjectAltNames: [api.example] }",
    {
      tls: {
        mode: "simple",
        sni: "api.example",
        subjectAltNames: ["api.example"],
        insecureSkipVerify: false,
      },
    },
  ],
  ["no TLS", "tls: { mode: DISABLE }", {}],
  ["TLS of the mesh, which is there anyway", "tls: { mode: ISTIO_MUTUAL }", {}],
  ["PROXY protocol", "proxyProtocol: { version: V2 }", { proxyProtocol: "v2" }],
];

describe("a trafficPolicy with", () => {
  for (const [name, policy, expected] of policies) {
    test(name, () => {
      const spec = `trafficPolicy:\n  ${policy.replaceAll("\n", "\n  ")}`;
      assert.deepEqual(new Shop(destinationRule(spec)).backend().policy, expected);
    });
  }

  test("TLS trusts nobody where its certificates cannot be had; the system's roots can", () => {
    const trusted = (file: string) => {
      const spec = `trafficPolicy: { tls: { mode: SIMPLE, caCertificates: ${file} } }`;
      return new Shop(destinationRule(spec)).backend().policy.tls?.caCertificates;
    };
    assert.equal(trusted("/etc/certs/ca.pem"), TRUST_NOBODY);
    assert.equal(trusted("/etc/ssl/certs/ca-certificates.crt"), undefined);
  });

  test("outlier detection has Istio's defaults for what it does not say", () => {
    const of = (given: string) =>
      new Shop(destinationRule(`trafficPolicy: { outlierDetection: ${given} }`)).backend().policy
        .outlierDetection;
    const defaults = {
      consecutive5xx: 5,
      consecutiveGatewayErrors: 0,
      consecutiveLocalOriginFailures: 5,
      splitLocalOriginErrors: false,
      intervalMs: 10_000,
      baseEjectionMs: 30_000,
      maxEjectionPercent: 10,
      minHealthPercent: 0,
    };
    assert.deepEqual(of("{}"), defaults);
    assert.deepEqual(
      of(
        "{ consecutive5xxErrors: 1, interval: 1s, baseEjectionTime: 3m, maxEjectionPercent: 100 }",
      ),
      {
        ...defaults,
        consecutive5xx: 1,
        intervalMs: 1_000,
        baseEjectionMs: 180_000,
        maxEjectionPercent: 100,
      },
    );
  });

  test("settings of a port replace the others as a whole; subsets inherit what is not theirs", () => {
    const shop = new Shop(
      destinationRule(`trafficPolicy:
  loadBalancer: { simple: RANDOM }
  connectionPool: { tcp: { maxConnections: 5 } }
  portLevelSettings:
  - port: { number: 9080 }
    loadBalancer: { simple: ROUND_ROBIN }
subsets:
- name: v1
  labels: { version: v1 }
- name: v2
  labels: { version: v2 }
  trafficPolicy: { connectionPool: { tcp: { maxConnections: 9 } } }
`),
    );
    const { policy, portPolicies, subsets } = shop.backend();
    const random = { loadBalancer: { kind: "random" } };
    const inTurn = { loadBalancer: { kind: "round-robin" } };
    const most = (maxConnections: number) => ({ connectionPool: { maxConnections } });
    assert.deepEqual(policy, { ...random, ...most(5) });
    assert.deepEqual(portPolicies, { 9080: inTurn });
    assert.deepEqual(subsets, {
      v1: {
        workloads: ["Kubernetes//Pod/shop/reviews-v1"],
        policy: { ...random, ...most(5) },
        portPolicies: { 9080: inTurn },
      },
      v2: {
        workloads: ["Kubernetes//Pod/shop/reviews-v2"],
        policy: { ...random, ...most(9) },
        portPolicies: { 9080: { ...inTurn, ...most(9) } },
      },
    });
  });
});

const subset = (version: string, name = "rule", more = "") =>
  destinationRule(`subsets: [{ name: s, labels: { version: ${version} } }]`, name, more);

describe("a subset", () => {
  test("follows the pods that come and go", () => {
    const shop = new Shop(subset("v3"));
    assert.deepEqual(shop.backend().subsets.s?.workloads, []);
    const pod = shopPod("reviews-v3", {});
    shop.set(pod);
    assert.deepEqual(shop.backend().subsets.s?.workloads, ["Kubernetes//Pod/shop/reviews-v3"]);
    shop.delete(pod);
    assert.deepEqual(shop.backend().subsets.s?.workloads, []);
  });
});

describe("of several rules for a host", () => {
  const root = subset("v1", "all").replace("namespace: shop", "namespace: istio-system");
  const wide = root.replace("host: reviews", "host: '*.svc.cluster.local'");
  const workload = (shop: Shop) => shop.backend().subsets.s?.workloads[0]?.slice(-2);

  test("the client's namespace comes before the root namespace", () => {
    assert.equal(workload(new Shop(wide)), "v1");
    assert.equal(workload(new Shop(wide, subset("v2"))), "v2");
  });

  test("the status names the same service, whichever came first", () => {
    const rival = subset("v1", "z").replace("host: reviews", "host: '*.svc.cluster.local'");
    const shop = new Shop(wide, rival);
    const message = () => shop.said.get("DestinationRule/istio-system/all")?.message ?? "";
    assert.match(message(), /shop\/z is in force for anything\.shop.* instead/);
    shop.set(shopService("another"));
    assert.match(message(), /shop\/z is in force for another\.shop.* instead/);
  });

  test("one that is not exported to the client does not count", () => {
    const hidden = wide.replace("  host:", "  exportTo: ['.']\n  host:");
    assert.deepEqual(new Shop(hidden).backend().subsets, {});
  });

  test("the closer host counts, then the older object, subset by subset", () => {
    const closer = subset("v2", "b");
    const wider = subset("v1", "a").replace("host: reviews", "host: '*.svc.cluster.local'");
    assert.equal(workload(new Shop(wider, closer)), "v2");
    const older = subset("v2", "z", ", creationTimestamp: '2026-01-01T00:00:00Z'");
    const newer = destinationRule(
      `trafficPolicy: { loadBalancer: { simple: RANDOM } }
subsets: [{ name: s }, { name: t, labels: { version: v1 } }]`,
      "a",
      ", creationTimestamp: '2026-02-01T00:00:00Z'",
    );
    const shop = new Shop(older, newer);
    assert.equal(workload(shop), "v2");
    assert.deepEqual(Object.keys(shop.backend().subsets), ["s", "t"]);
    assert.deepEqual(shop.backend().policy, { loadBalancer: { kind: "random" } });
    assert.match(
      shop.said.get("DestinationRule/shop/a")?.message ?? "",
      /subsets\[0\].name: an older/,
    );
    shop.delete(...parsed(older));
    assert.equal(workload(shop), "v1");
    assert.equal(shop.said.get("DestinationRule/shop/a")?.reason, "Accepted");
  });
});

const remarks: [string, string, RegExp][] = [
  ["everything is in force", "subsets: [{ name: s }]", /^Accepted In force for reviews.shop/],
  [
    "a secret",
    "trafficPolicy: { tls: { mode: MUTUAL, credentialName: certs } }",
    /PartlyInForce .*trafficPolicy.tls.credentialName: .*not read: connections fail/,
  ],
  ["TLS of the mesh", "trafficPolicy: { tls: { mode: ISTIO_MUTUAL } }", /ISTIO_MUTUAL is ignored/],
  [
    "the size of a ring",
    "trafficPolicy: { loadBalancer: { consistentHash: { useSourceIp: true, maglev: {} } } }",
    /consistentHash.maglev: has no effect/,
  ],
  [
    "failover without a reason to fail over",
    "trafficPolicy:\n  loadBalancer:\n    localityLbSetting: { failover: [{ from: a, to: b }] }",
    /failover: has no effect without outlierDetection/,
  ],
  [
    "an old field of a subset",
    "subsets: [{ name: s, trafficPolicy: { outlierDetection: { consecutiveErrors: 1 } } }]",
    /subsets\[0\].trafficPolicy.outlierDetection.consecutiveErrors: has no effect/,
  ],
  ["a selector", "workloadSelector: { matchLabels: { a: b } }", /^NotInForce workloadSelector/],
];

describe("the condition tells of", () => {
  for (const [name, spec, expected] of remarks) {
    test(name, () => {
      const shop = new Shop(destinationRule(spec));
      const { reason = "", message = "" } = shop.said.get("DestinationRule/shop/rule") ?? {};
      assert.match(`${reason} ${message}`, expected);
    });
  }

  test("a host that is not there, until it is", () => {
    const shop = new Shop(destinationRule("").replace("host: reviews", "host: 'new.example'"));
    assert.equal(shop.said.get("DestinationRule/shop/rule")?.status, "False");
  });
});
