/** HTTPRoutes and GRPCRoutes: filters, timeouts and retries as a waypoint gets them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type HttpRule, httpRule as shape } from "#common/model/waypoint/http-route.ts";
import { RouteFixture, route, service } from "./route-test-mesh.ts";

type Json = Readonly<Record<string, unknown>>;

const web = service("shop", "web");
const v1 = service("shop", "v1");
const backendRefs = [{ name: "v1", port: 80 }];
const to = { backend: { namespace: "shop", hostname: v1.hostname, port: 80 }, weight: 1 };

/** The only rule of a route with one rule. */
function ruleOf(rule: Json, kind: "HTTPRoute" | "GRPCRoute" = "HTTPRoute"): HttpRule {
  const fixture = new RouteFixture(web, v1);
  fixture.set(route(kind, { rules: [{ backendRefs, ...rule }] }));
  const [made, ...others] = fixture.of(web)?.http?.rules ?? [];
  assert.ok(made);
  assert.equal(others.length, 0);
  return shape.parse(made, "rule");
}

const modifier = {
  set: [
    { name: "A", value: "1" },
    { name: "a", value: "2" },
  ],
  add: [{ name: "B", value: "3" }],
  remove: ["C", "c"],
};
const modified = {
  set: [{ name: "a", value: "1" }],
  add: [{ name: "b", value: "3" }],
  remove: ["c"],
};
const full = { type: "ReplaceFullPath", replaceFullPath: "/x" };
const prefix = { type: "ReplacePrefixMatch", replacePrefixMatch: "/y" };
const mirrored = (percent: number) => ({ mirrors: [{ backend: to.backend, percent }] });
const mirror = (fields: Json) => ({
  type: "RequestMirror",
  requestMirror: { backendRef: backendRefs[0], ...fields },
});

const filters: [string, Json[], Json][] = [
  [
    "request headers",
    [{ type: "RequestHeaderModifier", requestHeaderModifier: modifier }],
    { requestHeaders: modified },
  ],
  [
    "response headers",
    [{ type: "ResponseHeaderModifier", responseHeaderModifier: modifier }],
    { responseHeaders: modified },
  ],
  [
    "a host rewrite",
    [{ type: "URLRewrite", urlRewrite: { hostname: "a.b" } }],
    { rewrite: { authority: "a.b" } },
  ],
  [
    "a path rewrite",
    [{ type: "URLRewrite", urlRewrite: { path: full } }],
    { rewrite: { path: { kind: "full", value: "/x" } } },
  ],
  [
    "a prefix rewrite",
    [{ type: "URLRewrite", urlRewrite: { path: prefix } }],
    { rewrite: { path: { kind: "prefix", value: "/y" } } },
  ],
  ["a mirror of everything", [mirror({})], mirrored(100)],
  ["a mirror of nothing", [mirror({ percent: 0 })], mirrored(0)],
  [
    "a mirror of a fraction",
    [mirror({ fraction: { numerator: 1, denominator: 8 } })],
    mirrored(12.5),
  ],
  [
    "two mirrors",
    [mirror({}), mirror({ percent: 5 })],
    { mirrors: [...mirrored(100).mirrors, ...mirrored(5).mirrors] },
  ],
];

describe("a filter for", () => {
  for (const [name, given, expected] of filters) {
    test(name, () => {
      const { origin: _, matches: __, ...rest } = ruleOf({ filters: given });
      assert.deepEqual(rest, { mirrors: [], backends: [to], ...expected });
    });
  }

  test("a redirect, with its defaults and without", () => {
    const redirect = (requestRedirect: Json) =>
      ruleOf({ backendRefs: [], filters: [{ type: "RequestRedirect", requestRedirect }] }).redirect;
    assert.deepEqual(redirect({}), { status: 302 });
    const all = { scheme: "https", hostname: "a.b", port: 8443, statusCode: 308, path: full };
    const { statusCode: _, ...others } = all;
    assert.deepEqual(redirect(all), {
      ...others,
      status: 308,
      path: { kind: "full", value: "/x" },
    });
  });

  test("CORS", () => {
    const origins: [string, Json][] = [
      ["*", { kind: "presence", value: "" }],
      ["https://A.example", { kind: "exact", value: "https://a.example" }],
      ["https://a.example:443", { kind: "exact", value: "https://a.example" }],
      ["http://a.example:8080", { kind: "exact", value: "http://a.example:8080" }],
      ["https://*.a.example", { kind: "regex", value: "https://[^/:]+\\.a\\.example" }],
      ["https://*", { kind: "regex", value: "https://[^/:]+" }],
    ];
    for (const [origin, expected] of origins) {
      const { cors } = ruleOf({ filters: [{ type: "CORS", cors: { allowOrigins: [origin] } }] });
      assert.deepEqual(cors, {
        allowOrigins: [expected],
        allowMethods: [],
        allowHeaders: [],
        exposeHeaders: [],
        maxAgeSeconds: 5,
        allowCredentials: false,
      });
    }
  });

  test("one backend's headers", () => {
    const filter = { type: "RequestHeaderModifier", requestHeaderModifier: modifier };
    const { backends } = ruleOf({
      backendRefs: [{ ...backendRefs[0], weight: 9, filters: [filter] }],
    });
    assert.deepEqual(backends, [{ ...to, weight: 9, requestHeaders: modified }]);
  });
});

describe("timeouts and retries", () => {
  test("are left to the waypoint where the route says nothing", () => {
    const { timeoutMs, retry } = ruleOf({});
    assert.deepEqual([timeoutMs, retry], [undefined, undefined]);
  });

  test("of the whole and of one try, none for 0s", () => {
    const timeouts = { request: "1m1s500ms", backendRequest: "2s" };
    const { timeoutMs, retry } = ruleOf({ timeouts, retry: {} });
    assert.deepEqual([timeoutMs, retry?.perTryTimeoutMs], [61_500, 2_000]);
    assert.equal(ruleOf({ timeouts: { request: "0s" } }).timeoutMs, undefined);
  });

  test("the time of one try is that of the whole where the route asks for no retries", () => {
    const { timeoutMs, retry } = ruleOf({ timeouts: { request: "10s", backendRequest: "2s" } });
    assert.deepEqual([timeoutMs, retry], [2_000, undefined]);
  });

  test("by status code, on broken connections too", () => {
    const { retry } = ruleOf({ retry: { codes: [503, 503, 429], attempts: 500, backoff: "1s" } });
    const conditions = ["connect-failure", "refused-stream", "unavailable", "cancelled"];
    assert.deepEqual(retry, {
      attempts: 100,
      conditions: [...conditions, "reset", "retriable-status-codes"],
      codes: [503, 429],
      backoffMs: 1_000,
      backoffMaxMs: 10_000,
    });
    assert.equal(ruleOf({ retry: {} }).retry?.attempts, 2);
    assert.equal(ruleOf({ retry: { attempts: 0 } }).retry?.attempts, 0);
  });
});

describe("a rule that cannot be had", () => {
  const unsupported: [string, Json][] = [
    [
      "an extension",
      { filters: [{ type: "ExtensionRef", extensionRef: { group: "a.b", kind: "K", name: "n" } }] },
    ],
    [
      "an external authorizer",
      {
        filters: [
          {
            type: "ExternalAuth",
            externalAuth: { protocol: "GRPC", backendRef: backendRefs[0], grpc: {} },
          },
        ],
      },
    ],
    ["a filter for one backend", { backendRefs: [{ ...backendRefs[0], filters: [mirror({})] }] }],
    [
      "one bad expression of two",
      { matches: [{}, { path: { type: "RegularExpression", value: "(" } }] },
    ],
  ];
  for (const [name, rule] of unsupported) {
    test(`answers its requests with 500: ${name}`, () => {
      const made = ruleOf(rule);
      assert.equal(made.matches.length, 1);
      assert.equal(made.directResponse?.status, 500);
      assert.deepEqual([made.backends, made.mirrors], [[], []]);
    });
  }

  test("is left out when none of its matches can be used, and then nothing matches", () => {
    const fixture = new RouteFixture(web);
    const path = { type: "RegularExpression", value: "[" };
    fixture.set(route("HTTPRoute", { rules: [{ matches: [{ path }] }] }));
    assert.deepEqual(fixture.of(web)?.http?.rules, []);
  });
});
