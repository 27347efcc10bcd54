/** The loadBalancer of DestinationRules as people have it: what a waypoint gets. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { destinationRule, Shop } from "./istio-fixtures.ts";

type Json = Readonly<Record<string, unknown>>;

const balancers: [string, string, Json][] = [
  ["round robin", "{ simple: ROUND_ROBIN }", { kind: "round-robin" }],
  ["the old name of least request", "{ simple: LEAST_CONN }", { kind: "least-request" }],
  ["chance", "{ simple: RANDOM }", { kind: "random" }],
  ["the original destination", "{ simple: PASSTHROUGH }", { kind: "passthrough" }],
  [
    "a header",
    "{ consistentHash: { httpHeaderName: X-User } }",
    { kind: "consistent-hash", hash: { kind: "header", name: "x-user" } },
  ],
  [
    "a cookie that is given",
    "{ consistentHash: { httpCookie: { name: user, path: /a, ttl: 1500ms } } }",
    {
      kind: "consistent-hash",
      hash: { kind: "cookie", name: "user", cookiePath: "/a", cookieTtlSeconds: 2 },
    },
  ],
  [
    "a cookie of the session",
    "{ consistentHash: { httpCookie: { name: user, ttl: 0s } } }",
    { kind: "consistent-hash", hash: { kind: "cookie", name: "user", cookieTtlSeconds: 0 } },
  ],
  [
    "the source",
    "{ consistentHash: { useSourceIp: true } }",
    { kind: "consistent-hash", hash: { kind: "source-ip", name: "" } },
  ],
  [
    "a query parameter",
    "{ consistentHash: { httpQueryParameterName: u } }",
    { kind: "consistent-hash", hash: { kind: "query-parameter", name: "u" } },
  ],
  [
    "warm-up",
    "{ simple: ROUND_ROBIN, warmup: { duration: 2m, minimumPercent: 5, aggression: 1.5 } }",
    { kind: "round-robin", warmupMs: 120_000, warmupMinimumPercent: 5, warmupAggression: 1.5 },
  ],
  ["the older warm-up", "{ warmupDurationSecs: 30s }", { kind: "least-request", warmupMs: 30_000 }],
  [
    "shares of localities",
    "{ localityLbSetting: { distribute: [{ from: a/*, to: { 'a/*': 80, 'b/*': 20 } }] } }",
    {
      kind: "least-request",
      localityWeights: [{ from: "a/*", to: { "a/*": 80, "b/*": 20 } }],
    },
  ],
];

describe("load is balanced by", () => {
  for (const [name, loadBalancer, expected] of balancers) {
    test(name, () => {
      const shop = new Shop(destinationRule(`trafficPolicy: { loadBalancer: ${loadBalancer} }`));
      assert.deepEqual(shop.backend().policy, { loadBalancer: expected });
    });
  }

  test("locality where outliers are detected, unless that is switched off", () => {
    const balancer = (setting: string) => {
      const spec = `trafficPolicy:\n  outlierDetection: {}\n  loadBalancer: ${setting}`;
      return new Shop(destinationRule(spec)).backend().policy.loadBalancer;
    };
    assert.deepEqual(balancer("{ simple: RANDOM }"), { kind: "random", localityFailover: {} });
    assert.deepEqual(
      balancer("{ localityLbSetting: { failover: [{ from: eu, to: us }] } }")?.localityFailover,
      { eu: "us" },
    );
    assert.deepEqual(balancer("{ localityLbSetting: { enabled: false } }"), {
      kind: "least-request",
    });
  });
});
