/** Matches of http routes as people have them: what a waypoint gets of each. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ruleOf } from "./istio-fixtures.ts";

type Json = Readonly<Record<string, unknown>>;

const ROUTE = "route: [{ destination: { host: reviews } }]";

const matches: [string, string, Json][] = [
  ["an exact path", "uri: { exact: /login }", { path: { kind: "exact", value: "/login" } }],
  [
    "a prefix, whatever its case",
    "{ uri: { prefix: /api }, ignoreUriCase: true }",
    { path: { kind: "prefix", value: "/api", ignoreCase: true } },
  ],
  ["a pattern", "uri: { regex: '/v[0-9]+/.*' }", { path: { kind: "regex", value: "/v[0-9]+/.*" } }],
  [
    "method, host and scheme",
    "{ method: { exact: GET }, authority: { prefix: shop. }, scheme: { exact: http } }",
    {
      method: { kind: "exact", value: "GET" },
      authority: { kind: "prefix", value: "shop." },
      scheme: { kind: "exact", value: "http" },
    },
  ],
  [
    "headers, there and not there",
    "{ headers: { End-User: { exact: jason }, x-any: {} }, withoutHeaders: { x-no: {} } }",
    {
      headers: [
        { name: "end-user", match: { kind: "exact", value: "jason" } },
        { name: "x-any", match: { kind: "presence", value: "" } },
        { name: "x-no", match: { kind: "presence", value: "" }, invert: true },
      ],
    },
  ],
  [
    "query parameters",
    "queryParams: { debug: { exact: 'true' }, page: { regex: '[0-9]+' } }",
    {
      queryParams: [
        { name: "debug", match: { kind: "exact", value: "true" } },
        { name: "page", match: { kind: "regex", value: "[0-9]+" } },
      ],
    },
  ],
  ["the caller's namespace", "sourceNamespace: web", { sourceNamespaces: ["web"] }],
  [
    "the caller's labels",
    "sourceLabels: { app: reviews, version: v2 }",
    { sourceWorkloads: ["Kubernetes//Pod/shop/reviews-v2"] },
  ],
  ["its own port", "port: 9080", {}],
];

describe("a match by", () => {
  for (const [name, match, expected] of matches) {
    test(name, () => {
      const rule = ruleOf(`match:\n- ${match}\n${ROUTE}`);
      const none = { headers: [], queryParams: [], sourceNamespaces: [] };
      assert.deepEqual(rule.matches, [{ ...none, ...expected }]);
    });
  }
});
