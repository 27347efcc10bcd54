/**
 * Made-up routes, requests and callers for property tests: of few and similar words, so that
 * matches compete.
 */
import fc from "fast-check";
import type { HttpMatch, HttpRoutes, StringMatch } from "#common/model/waypoint/http-route.ts";
import type { RequestHead } from "../http/message.ts";
import type { Caller } from "./request-view.ts";
import { head, match, routes, rule } from "./route-fixtures.ts";

const word = fc.constantFrom("a", "b", "A", "ab", "a.b", "-");
const path = fc
  .array(fc.constantFrom("a", "b", "A", "ab", "abc", ""), { maxLength: 4 })
  .map((segments) => `/${segments.join("/")}`);
const regex = fc.constantFrom("/a.*", "/a/[^/]+", "/(a|b)(/.*)?", "/a|/b", ".*", "/ab?", "[ab]+");
const ignoreCase = fc.constantFrom(undefined, true);
const namespace = fc.constantFrom("shop", "bank");
const uid = fc.constantFrom("u1", "u2");
const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined, freq: 2 });

/** Without the fields that are undefined: the types tell apart absent and undefined. */
function present<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return JSON.parse(JSON.stringify(value));
}

const pathMatch = fc
  .oneof(
    fc.record({ kind: fc.constantFrom("exact", "path-prefix", "prefix"), value: path, ignoreCase }),
    fc.record({ kind: fc.constant("regex" as const), value: regex, ignoreCase }),
  )
  .map(present);

function stringMatch(value: fc.Arbitrary<string>): fc.Arbitrary<StringMatch> {
  return fc
    .oneof(
      fc.record({ kind: fc.constantFrom("exact", "prefix", "suffix"), value, ignoreCase }),
      fc.record({ kind: fc.constant("regex" as const), value: fc.constantFrom("a.*", "a|b") }),
      fc.constant({ kind: "presence" as const, value: "" }),
    )
    .map(present) as fc.Arbitrary<StringMatch>;
}

const named = fc
  .record({
    name: fc.constantFrom("x", "y"),
    match: stringMatch(word),
    invert: fc.constantFrom(undefined, undefined, true),
  })
  .map(present);

const httpMatch = fc
  .record({
    path: optional(pathMatch),
    grpc: fc.constantFrom(undefined, undefined, undefined, true),
    method: optional(stringMatch(fc.constantFrom("GET", "POST"))),
    authority: optional(stringMatch(fc.constantFrom("web", "web:81"))),
    scheme: optional(stringMatch(fc.constant("http"))),
    headers: fc.array(named, { maxLength: 2 }),
    queryParams: fc.array(named, { maxLength: 2 }),
    sourceNamespaces: fc.array(namespace, { maxLength: 1 }),
    sourceWorkloads: optional(fc.array(uid, { maxLength: 2 })),
  })
  .map((fields): HttpMatch => match(present(fields) as Partial<HttpMatch>));

export const anyRoutes: fc.Arbitrary<HttpRoutes> = fc
  .record({
    precedence: fc.constantFrom("specificity", "listed"),
    rules: fc.array(
      fc.record({
        matches: fc.array(httpMatch, { maxLength: 3 }),
        consumerNamespace: fc.constantFrom(undefined, undefined, undefined, "bank"),
      }),
      { maxLength: 8 },
    ),
  })
  .map(({ precedence, rules }) =>
    routes(
      rules.map((fields, i) => rule(`${i}`, present(fields))),
      precedence,
    ),
  );

export const anyRequest: fc.Arbitrary<RequestHead> = fc
  .record({
    path,
    query: fc.constantFrom("", "?", "?x=a", "?x=b&y=a", "?x", "?x=%61b&x=b", "?y=a.b"),
    headers: fc.dictionary(fc.constantFrom("x", "y"), word),
    method: fc.constantFrom("GET", "POST", "get"),
    authority: fc.constantFrom("web", "web:81", "other"),
    grpc: fc.boolean(),
  })
  .map(({ path: pathname, query, headers, method, authority, grpc }) => {
    const type = { "content-type": "application/grpc" };
    const all = grpc ? { ...headers, ...type } : headers;
    return head(pathname + query, all, { method, authority });
  });

export const anyCaller: fc.Arbitrary<Caller> = fc.record({ namespace, workload: optional(uid) });
