/** Actions of http routes of VirtualServices as people have them: what a waypoint gets of each. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ruleOf } from "./istio-fixtures.ts";

type Json = Readonly<Record<string, unknown>>;

const backend = { namespace: "shop", hostname: "reviews.shop.svc.cluster.local", port: 9080 };
const to = { backend, weight: 1 };

const ROUTE = "route: [{ destination: { host: reviews } }]";

const actions: [string, string, Json][] = [
  [
    "a redirect",
    "redirect: { uri: /v2, authority: new.example:8443, scheme: https }",
    {
      redirect: {
        ...{ scheme: "https", hostname: "new.example", port: 8443, status: 301 },
        path: { kind: "full", value: "/v2" },
      },
    },
  ],
  [
    "a redirect of a prefix, to the port of the protocol",
    "redirect: { uri: '%PREFIX()%/new', derivePort: FROM_PROTOCOL_DEFAULT, redirectCode: 308 }",
    { redirect: { port: 80, path: { kind: "prefix", value: "/new" }, status: 308 } },
  ],
  [
    "an answer of its own",
    "directResponse: { status: 503, body: { string: closed } }",
    { directResponse: { status: 503, body: "closed", headers: [] } },
  ],
  [
    "a rewrite",
    `rewrite: { uri: /, authority: old.example }\n${ROUTE}`,
    {
      rewrite: { authority: "old.example", path: { kind: "prefix", value: "/" } },
      backends: [to],
    },
  ],
  [
    "a rewrite by pattern",
    `rewrite: { uriRegexRewrite: { match: '^/a/(.*)', rewrite: '/b/\\1' } }\n${ROUTE}`,
    {
      rewrite: { path: { kind: "regex", value: "/b/\\1", pattern: "^/a/(.*)" } },
      backends: [to],
    },
  ],
  [
    "a host that is set as a header",
    `headers: { request: { set: { Host: old.example, x-a: '5%%' }, remove: [X-B] } }\n${ROUTE}`,
    {
      rewrite: { authority: "old.example" },
      requestHeaders: { set: [{ name: "x-a", value: "5%" }], add: [], remove: ["x-b"] },
      backends: [to],
    },
  ],
  [
    "headers of one destination",
    "route: [{ destination: { host: reviews }, headers: { response: { add: { v: '1' } } } }]",
    {
      backends: [
        { ...to, responseHeaders: { set: [], add: [{ name: "v", value: "1" }], remove: [] } },
      ],
    },
  ],
  [
    "faults",
    `fault:
  delay: { fixedDelay: 7s, percentage: { value: 12.5 } }
  abort: { httpStatus: 500, percent: 100 }
${ROUTE}`,
    {
      fault: {
        delay: { milliseconds: 7_000, percent: 12.5 },
        abort: { status: 500, percent: 100 },
      },
      backends: [to],
    },
  ],
  [
    "a gRPC fault",
    `fault: { abort: { grpcStatus: UNAVAILABLE, percentage: { value: 1 } } }\n${ROUTE}`,
    { fault: { abort: { status: 200, grpcStatus: 14, percent: 1 } }, backends: [to] },
  ],
  [
    "a mirror",
    `mirror: { host: ratings, port: { number: 9080 } }\nmirrorPercentage: { value: 5 }\n${ROUTE}`,
    {
      mirrors: [
        { backend: { ...backend, hostname: "ratings.shop.svc.cluster.local" }, percent: 5 },
      ],
      backends: [to],
    },
  ],
  [
    "timeout and retries",
    `timeout: 10s
retries: { attempts: 3, perTryTimeout: 2s, retryOn: "5xx,503, reset-before-request" }
${ROUTE}`,
    {
      timeoutMs: 10_000,
      retry: {
        attempts: 3,
        conditions: ["5xx", "reset-before-request", "retriable-status-codes"],
        codes: [503],
        perTryTimeoutMs: 2_000,
        backoffMs: 25,
        backoffMaxMs: 250,
      },
      backends: [to],
    },
  ],
  [
    "no retries",
    `timeout: 0s\nretries: { attempts: 0 }\n${ROUTE}`,
    {
      retry: {
        attempts: 0,
        conditions: ["connect-failure", "refused-stream", "unavailable", "cancelled"],
        codes: [],
        backoffMs: 25,
        backoffMaxMs: 250,
      },
      backends: [to],
    },
  ],
  [
    "CORS",
    `corsPolicy:
  allowOrigins: [{ exact: "https://a.example" }, { regex: "https://.*[.]b[.]example" }]
  allowMethods: [GET, POST]
  allowHeaders: [x-a]
  exposeHeaders: [x-b]
  maxAge: 24h
  allowCredentials: true
${ROUTE}`,
    {
      cors: {
        allowOrigins: [
          { kind: "exact", value: "https://a.example" },
          { kind: "regex", value: "https://.*[.]b[.]example" },
        ],
        allowMethods: ["GET", "POST"],
        allowHeaders: ["x-a"],
        exposeHeaders: ["x-b"],
        maxAgeSeconds: 86_400,
        allowCredentials: true,
      },
      backends: [to],
    },
  ],
];

describe("a route with", () => {
  for (const [name, route, expected] of actions) {
    test(name, () => {
      const { origin: _, ...rule } = ruleOf(route);
      assert.deepEqual(rule, { matches: [], mirrors: [], backends: [], ...expected });
    });
  }

  test("a split by weight between subsets, and a share for what is not there", () => {
    const { backends } = ruleOf(`name: split
route:
- { destination: { host: reviews, subset: v1 }, weight: 75 }
- { destination: { host: reviews.shop.svc.cluster.local, subset: v2 }, weight: 20 }
- { destination: { host: gone }, weight: 5 }
- { destination: { host: ratings, port: { number: 1 } } }`);
    assert.deepEqual(backends, [
      { backend: { ...backend, subset: "v1" }, weight: 75 },
      { backend: { ...backend, subset: "v2" }, weight: 20 },
      { invalid: "there is no host gone.shop.svc.cluster.local", weight: 5 },
      {
        invalid: "ratings.shop.svc.cluster.local has no port 1, it has 9080, 9090",
        weight: 0,
      },
    ]);
  });

  test("delegation answers its requests with 500", () => {
    const rule = ruleOf("delegate: { name: other }");
    assert.equal((rule.directResponse as Json).status, 500);
  });
});
