/** HTTPRoute: what its CRD and CEL rules take, and what they refuse. */
import {
  backend,
  httpFilter,
  httpMatch,
  httpRoute,
  httpRule,
} from "#common/kubernetes/validate/routes/route-fixtures.ts";
import { type Json, testFine, testWrong } from "#common/kubernetes/validate/validation-fixtures.ts";

const prefix = (value: string) => ({ path: { type: "PathPrefix", value } });
const rewrite = (replacePrefixMatch: string) => ({
  type: "URLRewrite",
  urlRewrite: { path: { type: "ReplacePrefixMatch", replacePrefixMatch } },
});
const redirect = (requestRedirect: Json) => ({ type: "RequestRedirect", requestRedirect });
const headers = (fields: Json) => ({
  type: "RequestHeaderModifier",
  requestHeaderModifier: fields,
});
const mirror = (fields: Json) => ({
  type: "RequestMirror",
  requestMirror: { backendRef: backend, ...fields },
});
const cors = (fields: Json) => ({ type: "CORS", cors: fields });
const many = (count: number, item: unknown) => Array.from({ length: count }, () => item);

testFine([
  ["a route without rules", httpRoute({})],
  ["the older version", httpRoute({ rules: [{ backendRefs: [backend] }] }, "v1beta1")],
  [
    "every field of a rule",
    httpRule({
      name: "main",
      matches: [
        {
          ...prefix("/a%20b"),
          headers: [{ name: "X-Version", type: "RegularExpression", value: "v[12]" }],
          queryParams: [{ name: "debug", value: "1" }],
          method: "GET",
        },
      ],
      filters: [
        headers({ set: [{ name: "a", value: "b c" }], add: [], remove: ["d"] }),
        { type: "ResponseHeaderModifier", responseHeaderModifier: {} },
        mirror({ percent: 10 }),
        mirror({ fraction: { numerator: 1, denominator: 1000 } }),
        rewrite("/"),
        cors({ allowOrigins: ["https://*.example.com", "http://a:8080"], maxAge: 60 }),
      ],
      backendRefs: [{ ...backend, weight: 0, filters: [headers({})] }],
      timeouts: { request: "10s", backendRequest: "1s500ms" },
      retry: { attempts: 3, codes: [503], backoff: "25ms" },
      sessionPersistence: { sessionName: "s", type: "Cookie" },
    }),
  ],
  [
    "a timeout beside none for the whole",
    httpRule({ timeouts: { request: "0s", backendRequest: "1h" } }),
  ],
  [
    "a redirect of a prefix",
    httpRule({
      matches: [prefix("/a")],
      filters: [redirect({ path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/b" } })],
    }),
  ],
  ["a rewritten prefix of the default match", httpFilter(rewrite("/x"))],
  [
    "a regular expression with anything in it",
    httpMatch({ path: { type: "RegularExpression", value: "/a//b#.*" } }),
  ],
  [
    "a backend of another kind without a port",
    httpRule({ backendRefs: [{ group: "example.com", kind: "Bucket", name: "b" }] }),
  ],
  [
    "the newer session persistence",
    httpRule({ sessionPersistence: { type: "Header", header: { name: "x-id" } } }),
  ],
  [
    "parents told apart by port",
    httpRoute({
      parentRefs: [
        { name: "g", port: 1 },
        { name: "g", port: 2 },
      ],
    }),
  ],
  ["128 matches", httpRoute({ rules: many(2, { matches: many(64, {}) }) })],
  [
    "an external authorizer",
    httpFilter({
      type: "ExternalAuth",
      externalAuth: { protocol: "GRPC", backendRef: backend, grpc: {} },
    }),
  ],
]);

testWrong([
  ["no spec", { ...httpRoute({}), spec: undefined }, [/spec: has no value|spec: must be|missing/]],
  [
    "an unknown field",
    httpRule({ backendRef: [] }),
    [/rules\[0\]\.backendRef: is an unknown field \(did you mean backendRefs\?\)/],
  ],
  ["an empty list of rules", httpRoute({ rules: [] }), [/spec\.rules: is an empty list/]],
  ["17 rules", httpRoute({ rules: many(17, {}) }), [/17 items, more than 16/]],
  ["65 matches", httpRule({ matches: many(65, {}) }), [/65 items, more than 64/]],
  [
    "129 matches",
    httpRoute({ rules: [...many(2, { matches: many(64, {}) }), {}] }),
    [/spec\.rules: have 129 matches together/],
  ],
  [
    "two rules of one name",
    httpRoute({ rules: [{ name: "a" }, { name: "a" }] }),
    [/rules\[1\]: has the same name a as item 0/],
  ],
  [
    "a path that is not absolute",
    httpMatch(prefix("a")),
    [/path\.value: "a" does not begin with \/ \(write \/a\)/],
  ],
  ["a path with //", httpMatch(prefix("/a//b")), [/contains \/\//]],
  [
    "a path with an encoded slash",
    httpMatch({ path: { type: "Exact", value: "/a%2Fb" } }),
    [/contains %2F/],
  ],
  ["a path that goes up", httpMatch(prefix("/a/..")), [/ends with \/\.\./]],
  ["a path with a fragment", httpMatch(prefix("/a#b")), [/contains #/]],
  ["a path with a blank", httpMatch(prefix("/a b")), [/write them as %XX/]],
  [
    "an unknown type of path",
    httpMatch({ path: { type: "Prefix" } }),
    [/"Prefix" is none of Exact, PathPrefix/],
  ],
  ["an unknown method", httpMatch({ method: "get" }), [/"get" is none of GET/]],
  [
    "one header twice",
    httpMatch({ headers: many(2, { name: "a", value: "b" }) }),
    [/headers\[1\]: has the same name a as item 0/],
  ],
  [
    "a header name with a blank",
    httpMatch({ headers: [{ name: "a b", value: "c" }] }),
    [/"a b" is no header name/],
  ],
  [
    "a header without a value",
    httpMatch({ headers: [{ name: "a", value: "" }] }),
    [/"" is no header value/],
  ],
  ["a host name in upper case", httpRoute({ hostnames: ["A.example"] }), [/hostnames\[0\]/]],
  [
    "a weight beyond the bound",
    httpRule({ backendRefs: [{ ...backend, weight: 1_000_001 }] }),
    [/is not between 0 and 1000000/],
  ],
  [
    "a Service without a port",
    httpRule({ backendRefs: [{ name: "a" }] }),
    [/backendRefs\[0\]\.port: is required for a Service/],
  ],
  ["17 backends", httpRule({ backendRefs: many(17, backend) }), [/17 items/]],
  [
    "a redirect with backends",
    httpFilter(redirect({})),
    [/filters\[0\]: answers the request itself/],
  ],
  [
    "a redirect beside a rewrite",
    httpRule({ filters: [redirect({}), { type: "URLRewrite", urlRewrite: { hostname: "a.b" } }] }),
    [/both RequestRedirect and URLRewrite/],
  ],
  [
    "a redirect with status 200",
    httpRule({ filters: [redirect({ statusCode: 200 })] }),
    [/200 is none of 301, 302/],
  ],
  [
    "a replaced prefix of an exact path",
    httpFilter(rewrite("/x"), { matches: [{ path: { type: "Exact", value: "/a" } }] }),
    [/filters\[0\]: ReplacePrefixMatch needs a prefix/],
  ],
  [
    "a replaced prefix of two matches",
    httpFilter(rewrite("/x"), { matches: [prefix("/a"), prefix("/b")] }),
    [/exactly one match/],
  ],
  [
    "a replaced prefix at a backend",
    httpRule({ matches: many(2, {}), backendRefs: [{ ...backend, filters: [rewrite("/x")] }] }),
    [/backendRefs\[0\]\.filters\[0\]: ReplacePrefixMatch/],
  ],
  [
    "a repeated filter",
    httpRule({ filters: many(2, headers({})) }),
    [/filters\[1\]: has the same type RequestHeaderModifier as item 0/],
  ],
  [
    "a filter without its field",
    httpFilter({ type: "CORS" }),
    [/filters\[0\]\.cors: is required for type CORS/],
  ],
  [
    "a filter with another one's field",
    httpFilter({ type: "CORS", cors: {}, urlRewrite: {} }),
    [/urlRewrite: does not belong to type CORS/],
  ],
  [
    "a path modifier without its path",
    httpFilter({
      type: "URLRewrite",
      urlRewrite: { path: { type: "ReplaceFullPath", replacePrefixMatch: "/" } },
    }),
    [/replaceFullPath: is required/, /replacePrefixMatch: does not belong/],
  ],
  [
    "percent and fraction",
    httpFilter(mirror({ percent: 1, fraction: { numerator: 1 } })),
    [/excludes percent/],
  ],
  [
    "a fraction above one",
    httpFilter(mirror({ fraction: { numerator: 101 } })),
    [/more than the denominator 100/],
  ],
  [
    "an origin without a scheme",
    httpFilter(cors({ allowOrigins: ["example.com"] })),
    [/is no origin/],
  ],
  [
    "* beside another origin",
    httpFilter(cors({ allowOrigins: ["*", "https://a"] })),
    [/has "\*" beside others/],
  ],
  [
    "a fractional duration",
    httpRule({ timeouts: { request: "1.5s" } }),
    [/timeouts\.request: "1\.5s" is no duration/],
  ],
  [
    "a try longer than the whole",
    httpRule({ timeouts: { request: "1s", backendRequest: "2s" } }),
    [/longer than the whole request/],
  ],
  [
    "a retry of a success",
    httpRule({ retry: { codes: [200] } }),
    [/codes\[0\]: 200 is not between 400 and 599/],
  ],
  [
    "a permanent cookie without an end",
    httpRule({ sessionPersistence: { cookieConfig: { lifetimeType: "Permanent" } } }),
    [/absoluteTimeout: is required/],
  ],
  [
    "the same parent twice",
    httpRoute({ parentRefs: many(2, { name: "g" }) }),
    [/parentRefs\[1\]: is the same as item 0/],
  ],
  [
    "a parent and a part of it",
    httpRoute({ parentRefs: [{ name: "g" }, { name: "g", port: 80 }] }),
    [/not both say which part/],
  ],
  [
    "33 parents",
    httpRoute({ parentRefs: Array.from({ length: 33 }, (_, i) => ({ name: `g${i}` })) }),
    [/33 items/],
  ],
  [
    "an authorizer over HTTP without its settings",
    httpFilter({
      type: "ExternalAuth",
      externalAuth: { protocol: "HTTP", backendRef: backend, grpc: {} },
    }),
    [/externalAuth\.http: is required/, /externalAuth\.grpc: does not belong/],
  ],
]);
