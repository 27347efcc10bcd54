/** The matches of HTTPRoutes and GRPCRoutes as a waypoint gets them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { HttpRule } from "#common/model/waypoint/http-route.ts";
import { RouteFixture, route, service } from "./route-test-mesh.ts";

type Json = Readonly<Record<string, unknown>>;

/** The only rule of a route with one rule. */
function ruleOf(rule: Json, kind: "HTTPRoute" | "GRPCRoute" = "HTTPRoute"): HttpRule {
  const web = service("shop", "web");
  const fixture = new RouteFixture(web);
  fixture.set(route(kind, { rules: [rule] }));
  const [made] = fixture.of(web)?.http?.rules ?? [];
  assert.ok(made);
  return made;
}

const nothing = { headers: [], queryParams: [], sourceNamespaces: [] };
const matches: [string, Json, Json][] = [
  ["no path", {}, { path: { kind: "path-prefix", value: "/" } }],
  [
    "an exact path",
    { path: { type: "Exact", value: "/a" } },
    { path: { kind: "exact", value: "/a" } },
  ],
  ["a prefix", { path: { value: "/a" } }, { path: { kind: "path-prefix", value: "/a" } }],
  [
    "a prefix with a slash at its end",
    { path: { value: "/a/" } },
    { path: { kind: "path-prefix", value: "/a" } },
  ],
  [
    "a regular expression",
    { path: { type: "RegularExpression", value: "/a.*" } },
    { path: { kind: "regex", value: "/a.*" } },
  ],
  [
    "a method",
    { method: "PUT" },
    { path: { kind: "path-prefix", value: "/" }, method: { kind: "exact", value: "PUT" } },
  ],
  [
    "headers, of one name the first",
    {
      headers: [
        { name: "X-A", value: "1" },
        { name: "x-a", value: "2" },
        { name: "b", type: "RegularExpression", value: "c+" },
      ],
    },
    {
      path: { kind: "path-prefix", value: "/" },
      headers: [
        { name: "x-a", match: { kind: "exact", value: "1" } },
        { name: "b", match: { kind: "regex", value: "c+" } },
      ],
    },
  ],
  [
    "query parameters, whose names have a case",
    {
      queryParams: [
        { name: "A", value: "1" },
        { name: "a", value: "2" },
      ],
    },
    {
      path: { kind: "path-prefix", value: "/" },
      queryParams: [
        { name: "A", match: { kind: "exact", value: "1" } },
        { name: "a", match: { kind: "exact", value: "2" } },
      ],
    },
  ],
];

describe("a match of an HTTPRoute with", () => {
  for (const [name, match, expected] of matches) {
    test(name, () => {
      assert.deepEqual(ruleOf({ matches: [match] }).matches, [{ ...nothing, ...expected }]);
    });
  }

  test("a rule without matches takes every request", () => {
    const every = [{ ...nothing, path: { kind: "path-prefix", value: "/" } }];
    assert.deepEqual(ruleOf({}).matches, every);
    assert.deepEqual(ruleOf({ matches: [] }).matches, every);
  });
});

const grpc: [string, Json, Json][] = [
  ["service and method", { service: "a.B", method: "C" }, { kind: "exact", value: "/a.B/C" }],
  [
    "a service with a leading dot",
    { service: ".a.B", method: "C" },
    { kind: "exact", value: "/a.B/C" },
  ],
  ["a service", { service: "a.B" }, { kind: "prefix", value: "/a.B/" }],
  ["a method", { method: "C" }, { kind: "regex", value: "/[^/]+/C" }],
  [
    "expressions",
    { type: "RegularExpression", service: "a|b", method: "G.*" },
    { kind: "regex", value: "/(?:a|b)/(?:G.*)" },
  ],
  [
    "a method by expression",
    { type: "RegularExpression", method: "G.*" },
    { kind: "regex", value: "/[^/]+/(?:G.*)" },
  ],
];

describe("a match of a GRPCRoute with", () => {
  for (const [name, method, path] of grpc) {
    test(name, () => {
      const made = ruleOf({ matches: [{ method }] }, "GRPCRoute").matches;
      assert.deepEqual(made, [{ ...nothing, grpc: true, path }]);
    });
  }

  test("headers only, or nothing, takes gRPC requests only", () => {
    assert.deepEqual(ruleOf({}, "GRPCRoute").matches, [{ ...nothing, grpc: true }]);
    const [made] = ruleOf(
      { matches: [{ headers: [{ name: "A", value: "b" }] }] },
      "GRPCRoute",
    ).matches;
    assert.deepEqual(made?.headers, [{ name: "a", match: { kind: "exact", value: "b" } }]);
    assert.equal(made?.grpc, true);
  });
});
