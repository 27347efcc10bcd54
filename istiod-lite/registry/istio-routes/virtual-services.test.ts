/** VirtualServices as wholes: order, ports, connections. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  destinationRule,
  parsed,
  Shop,
  shopPod,
  shopService,
  virtualService,
} from "./istio-fixtures.ts";

const ROUTE = "route: [{ destination: { host: reviews } }]";

describe("rules", () => {
  test("keep their order and their names", () => {
    const shop = new Shop(
      virtualService(`hosts: [reviews]
http:
- name: beta
  match: [{ headers: { beta: { exact: "1" } } }]
  route: [{ destination: { host: reviews, subset: v2 } }]
- route: [{ destination: { host: reviews, subset: v1 } }]
`),
    );
    assert.equal(shop.port("reviews", 9080).http?.precedence, "listed");
    assert.deepEqual(
      shop.rules().map(({ origin }) => [origin.rule, origin.ruleName]),
      [
        [0, "beta"],
        [1, undefined],
      ],
    );
  });

  test("of other ports and gateways leave a port as it is", () => {
    const shop = new Shop(
      virtualService(`hosts: [reviews]
gateways: [mesh, edge]
http:
- match: [{ port: 81 }, { gateways: [edge] }]
  ${ROUTE}
`),
    );
    assert.equal(shop.port("reviews", 9080).http, undefined);
  });

  test("for TLS go by server name, for TCP by port", () => {
    const shop = new Shop(
      virtualService(`hosts: [reviews, secure, anything]
tls:
- match: [{ sniHosts: [a.example, "*.b.example"] }]
  route: [{ destination: { host: secure } }]
- match: [{ sniHosts: ["*"], sourceLabels: { a: b } }]
  route: [{ destination: { host: ratings } }]
tcp:
- match: [{ port: 1 }]
  route: [{ destination: { host: gone } }]
- match: [{ port: 9090 }]
  route:
  - { destination: { host: reviews }, weight: 90 }
  - { destination: { host: ratings }, weight: 10 }
`),
    );
    const hostname = (name: string) => ({ namespace: "shop", hostname: name });
    const secure = hostname("secure.shop.svc.cluster.local");
    assert.deepEqual(
      shop.port("secure", 443).tls?.map(({ sni, backends }) => [sni, backends]),
      [[["a.example", "*.b.example"], [{ backend: { ...secure, port: 443 }, weight: 1 }]]],
    );
    assert.deepEqual(
      shop
        .port("reviews", 9090)
        .tcp?.[0]?.backends.map((each) => [each.backend?.port, each.weight]),
      [
        [9090, 90],
        [9090, 10],
      ],
    );
    assert.equal(shop.port("reviews", 9080).tcp, undefined);
    assert.match(
      shop.said.get("VirtualService/shop/routes")?.message ?? "",
      /sourceLabels: is not/,
    );
  });
});

const split = (subset: string, name = "routes", more = "") =>
  virtualService(
    `hosts: [reviews]\nhttp: [{ route: [{ destination: { host: reviews, subset: ${subset} } }] }]`,
    name,
    more,
  );
const subsetsOf = (shop: Shop) => shop.rules().map(({ backends }) => backends[0]?.backend?.subset);
const told = (shop: Shop, name = "routes") => {
  const { reason = "", message = "" } = shop.said.get(`VirtualService/shop/${name}`) ?? {};
  return `${reason} ${message}`;
};

describe("of several VirtualServices for a host", () => {
  test("the routes of the older one come first", () => {
    const shop = new Shop(
      split("b", "b", ", creationTimestamp: '2026-02-01T00:00:00Z'"),
      split("c", "c"),
      split("a", "a", ", creationTimestamp: '2026-01-01T00:00:00Z'"),
    );
    assert.deepEqual(subsetsOf(shop), ["a", "b", "c"]);
    assert.match(told(shop, "b"), /come after those of VirtualService shop\/a, which is older/);
  });

  test("the closer host counts", () => {
    const wide = split("wide", "wide").replace(
      "hosts: [reviews]",
      "hosts: ['*.shop.svc.cluster.local']",
    );
    const shop = new Shop(wide);
    assert.deepEqual(subsetsOf(shop), ["wide"]);
    shop.set(...parsed(split("near")));
    assert.deepEqual(subsetsOf(shop), ["near"]);
    assert.match(told(shop, "wide"), /VirtualService shop\/routes is closer: not in force for rev/);
    shop.delete(...parsed(split("near")));
    assert.deepEqual(subsetsOf(shop), ["wide"]);
  });

  test("those of a namespace that is neither the service's nor the waypoint's do not count", () => {
    const foreign = split("x")
      .replace("namespace: shop", "namespace: web")
      .replace("[reviews]", "[reviews.shop.svc.cluster.local]");
    const shop = new Shop(foreign);
    assert.equal(shop.port("reviews", 9080).http, undefined);
  });
});

describe("a ServiceEntry's host", () => {
  test("is routed, below a wildcard too", () => {
    const shop = new Shop(
      virtualService(`hosts: ["*.partner.example", "*.wild.example"]
http:
- timeout: 3s
  route: [{ destination: { host: api.partner.example } }]
`),
    );
    for (const host of ["api.partner.example", "*.wild.example"]) {
      assert.equal(shop.rules(host, 80)[0]?.timeoutMs, 3_000);
    }
  });
});

describe("the condition", () => {
  test("says where it is in force, and follows what it hangs on", () => {
    const shop = new Shop(split("v9"));
    const partly =
      /^PartlyInForce In force for reviews.shop.*no DestinationRule for .* has subset v9/;
    assert.match(told(shop), partly);
    const [rule] = parsed(destinationRule("subsets: [{ name: v9 }]"));
    assert.ok(rule);
    shop.set(rule);
    assert.match(
      told(shop),
      /^Accepted In force for reviews.shop.svc.cluster.local where a waypoint/,
    );
    shop.delete(rule);
    assert.match(told(shop), partly);
  });

  test("tells of routes of Gateway API that win, as long as they do", () => {
    const shop = new Shop(split("v1"), destinationRule("subsets: [{ name: v1 }]"));
    const [route] = parsed(`apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: r, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: reviews, port: 9080 }]
  rules: [{ backendRefs: [{ name: ratings, port: 9080 }] }]
`);
    assert.ok(route);
    shop.set(route);
    assert.equal(shop.port("reviews", 9080).http?.precedence, "specificity");
    assert.match(told(shop), /routes of Gateway API are in force for port 9080 of reviews/);
    shop.delete(route);
    assert.equal(shop.port("reviews", 9080).http?.precedence, "listed");
    assert.match(told(shop), /^Accepted/);
  });

  const remarks: [string, string, RegExp][] = [
    ["another gateway", "hosts: [reviews]\ngateways: [edge]", /^NotInForce gateways: edge/],
    ["a host that is not there", "hosts: [gone]", /^NotInForce hosts\[0\]: there is no host gone/],
    ["a port that is not there", "hosts: [secure]", /^NotInForce hosts\[0\]: none of the routes/],
  ];
  for (const [name, spec, expected] of remarks) {
    test(`tells of ${name}`, () => {
      assert.match(told(new Shop(virtualService(`${spec}\nhttp:\n- ${ROUTE}\n`))), expected);
    });
  }

  test("tells of each part of a route that is not in force", () => {
    const route = `fault: { delay: { exponentialDelay: 1s, percent: 1 } }
  retries: { attempts: 1, retryOn: "envoy-ratelimited" }
  headers: { request: { set: { x: "%REQ(y)%" } } }
  route: [{ destination: { host: reviews } }]`;
    const message = told(new Shop(virtualService(`hosts: [reviews]\nhttp:\n- ${route}\n`)));
    assert.match(message, /http\[0\].fault.delay.exponentialDelay: is not supported/);
    assert.match(message, /retryOn: envoy-ratelimited is not supported/);
    assert.match(message, /substitutions/);
  });
});

test("a route by the caller's labels follows the callers", () => {
  const shop = new Shop(
    virtualService(`hosts: [reviews]
http:
- match: [{ sourceLabels: { app: client } }]
  ${ROUTE}
- ${ROUTE}
`),
  );
  const callers = () => shop.rules()[0]?.matches[0]?.sourceWorkloads;
  assert.deepEqual(callers(), []);
  const pod = shopPod("client-1", {});
  shop.set(pod);
  assert.deepEqual(callers(), ["Kubernetes//Pod/shop/client-1"]);
  shop.delete(pod);
  assert.deepEqual(callers(), []);
});

test("a destination that comes and goes is found and lost", () => {
  const shop = new Shop(
    virtualService("hosts: [reviews]\nhttp: [{ route: [{ destination: { host: fresh } }] }]"),
  );
  const backend = () => shop.rules()[0]?.backends[0]?.backend?.hostname;
  assert.equal(backend(), undefined);
  shop.set(shopService("fresh"));
  assert.equal(backend(), "fresh.shop.svc.cluster.local");
  shop.delete(shopService("fresh"));
  assert.equal(backend(), undefined);
});
