import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as nextRound } from "node:timers/promises";
import type { HttpMatch, HttpRoutes } from "#common/model/waypoint/http-route.ts";
import { compileInSlices, compileRoutes } from "./compile.ts";
import { COMPILE_SLICE_MS } from "./limits.ts";
import { CALLER, head, match, routes, rule } from "./route-fixtures.ts";

/** The name of the rule that a request goes by. */
function routed(table: HttpRoutes, path: string, headers = {}, fields = {}): string | undefined {
  const found = compileRoutes(table).table.match(head(path, headers, fields), CALLER);
  return found?.rule.origin.ruleName;
}

const by = (name: string, ...matches: readonly Partial<HttpMatch>[]) =>
  rule(name, { matches: matches.map((fields) => match(fields)) });
const exact = (value: string): Partial<HttpMatch> => ({ path: { kind: "exact", value } });
const prefix = (value: string): Partial<HttpMatch> => ({ path: { kind: "path-prefix", value } });
const regex = (value: string): Partial<HttpMatch> => ({ path: { kind: "regex", value } });
const header = (name: string, value: string): HttpMatch["headers"][number] => ({
  name,
  match: { kind: "exact", value },
});

describe("by specificity", () => {
  test("an exact path comes before every prefix, the longest prefix before shorter ones", () => {
    const table = routes([
      by("root", prefix("/")),
      by("long", prefix("/a/b/c")),
      by("short", prefix("/a")),
      by("exact", exact("/a")),
    ]);
    assert.equal(routed(table, "/a"), "exact");
    assert.equal(routed(table, "/a/"), "short");
    assert.equal(routed(table, "/a/b/c/d?x=y"), "long");
    assert.equal(routed(table, "/a/b/cd"), "short");
    assert.equal(routed(table, "/"), "root");
  });

  test("a method comes before headers, more headers before parameters, then the order", () => {
    const parameters = ["p", "q"].map((name) => header(name, "1"));
    const table = routes([
      by("first", prefix("/")),
      by("second", prefix("/")),
      by("parameters", { ...prefix("/"), queryParams: parameters }),
      by("header", { ...prefix("/"), headers: [header("h", "1")] }),
      by("method", { ...prefix("/"), method: { kind: "exact", value: "GET" } }),
    ]);
    const post = { method: "POST" };
    assert.equal(routed(table, "/?p=1&q=1", { h: "1" }), "method");
    assert.equal(routed(table, "/?p=1&q=1", { h: "1" }, post), "header");
    assert.equal(routed(table, "/?p=1&q=1", {}, post), "parameters");
    assert.equal(routed(table, "/", {}, post), "first");
  });

  test("a regular expression comes after prefixes, but before / and before no path", () => {
    const table = routes([by("any"), by("/", prefix("/")), by("regex", regex("/a/.*"))]);
    assert.equal(routed(table, "/a/b"), "regex");
    assert.equal(routed(routes([...table.rules, by("prefix", prefix("/a"))]), "/a/b"), "prefix");
    assert.equal(routed(table, "/b"), "any");
  });

  test("GRPCRoute: service and method, then the service, then the method anywhere", () => {
    const grpc = { grpc: true };
    const table = routes([
      by("any method", { ...grpc, ...regex("/[^/]+/Get") }),
      by("service", { ...grpc, ...prefix("/shop.Cart") }),
      by("method", { ...grpc, ...exact("/shop.Cart/Get") }),
      by("none", { ...grpc }),
    ]);
    const call = (path: string, type = "application/grpc+proto") =>
      routed(table, path, { "content-type": type }, { method: "POST" });
    assert.equal(call("/shop.Cart/Get"), "method");
    assert.equal(call("/shop.Cart/Put"), "service");
    assert.equal(call("/shop.Carts/Get"), "any method");
    assert.equal(call("/other/Put"), "none");
    assert.equal(call("/shop.Cart/Get", "application/grpc-web"), undefined);
    assert.equal(
      routed(table, "/shop.Cart/Get", { "content-type": "application/grpc" }),
      undefined,
    );
  });
});

test("listed: the first match in the order of the list wins, however general", () => {
  const table = routes([by("any", prefix("/a")), by("exact", exact("/a/b"))], "listed");
  assert.equal(routed(table, "/a/b"), "any");
});

test("among many matches of one path the order is that of numbers", () => {
  const rules = Array.from({ length: 12 }, (_, i) =>
    by(`${i}`, { ...exact("/a"), headers: [header(`h${i}`, "1")] }),
  );
  for (const precedence of ["listed", "specificity"] as const) {
    assert.equal(routed(routes(rules, precedence), "/a", { h2: "1", h10: "1", h11: "1" }), "2");
  }
});

test("an empty segment is a segment", () => {
  const table = routes([by("root", prefix("/")), by("empty", prefix("//"))]);
  assert.equal(routed(table, "//a"), "empty");
  assert.equal(routed(table, "/a//"), "root");
});

test("a rule without matches takes every request, a table without rules none", () => {
  assert.equal(routed(routes([by("all")]), "*"), "all");
  assert.equal(routed(routes([]), "/"), undefined);
});

test("a namespace with consumer rules has only these; others have the producer's", () => {
  const consumer = { ...by("consumer", prefix("/mine")), consumerNamespace: "shop" };
  const { table } = compileRoutes(routes([by("producer", prefix("/")), consumer]));
  const name = (path: string, namespace: string) =>
    table.match(head(path), { namespace, workload: undefined })?.rule.origin.ruleName;
  assert.equal(name("/mine", "shop"), "consumer");
  assert.equal(name("/other", "shop"), undefined);
  assert.equal(name("/mine", "bank"), "producer");
});

test("a path is matched whole, without the query, and upper case counts unless told otherwise", () => {
  const folded: HttpMatch = match({ path: { kind: "prefix", value: "/Api", ignoreCase: true } });
  const table = routes([by("regex", regex("/v[0-9]+")), rule("folded", { matches: [folded] })]);
  assert.equal(routed(table, "/v12?a=/"), "regex");
  assert.equal(routed(table, "/v12/a"), undefined);
  assert.equal(routed(table, "/aPIs"), "folded");
});

test("what is no regular expression of RE2 holds for nothing, also inverted, and is told", () => {
  const bad = { kind: "regex", value: "a(?=b)" } as const;
  const { table, problems } = compileRoutes(
    routes([
      by("path", { path: bad }),
      by("header", { headers: [{ name: "h", match: bad }] }),
      by("inverted", { headers: [{ name: "h", match: bad, invert: true }] }),
      by("long", regex("a".repeat(5_000))),
      by("large", regex("(.{1,1000}){1}[a-z]{1,1000}.{1,1000}.{1,1000}.{1,1000}.{1,1000}")),
    ]),
  );
  assert.equal(table.match(head("/a", { h: "x" }), CALLER), undefined);
  assert.equal(problems.length, 5);
  assert.match(problems[0]?.message ?? "", /"a\(\?=b\)" is not RE2's: /);
  assert.equal(problems[0]?.origin.ruleName, "path");
});

test("5,000 routes compile in slices, and every one of them is found", async () => {
  const kinds = [exact, prefix, regex, (value: string) => ({ ...prefix(value), method: GET })];
  const GET = { kind: "exact", value: "GET" } as const;
  const rules = Array.from({ length: 5_000 }, (_, i) =>
    by(`${i}`, kinds[i % kinds.length]?.(`/tenants/t${i}/items`) ?? {}),
  );
  let clock = 0;
  let began = 0;
  const slices: number[] = [];
  const { table } = await compileInSlices(routes(rules), {
    now: () => {
      clock += 0.1;
      return clock;
    },
    pause: () => {
      slices.push(clock - began);
      began = clock;
      return nextRound();
    },
  });
  assert.ok(slices.length > 100, `${slices.length} pauses`);
  assert.ok(Math.max(...slices) < COMPILE_SLICE_MS + 1);
  for (let i = 0; i < rules.length; i += 7) {
    const found = table.match(head(`/tenants/t${i}/items`), CALLER);
    assert.equal(found?.rule.origin.ruleName, `${i}`);
  }
});
