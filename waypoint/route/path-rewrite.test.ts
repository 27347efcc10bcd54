import assert from "node:assert/strict";
import { test } from "node:test";
import type { HttpMatch } from "#common/model/waypoint/http-route.ts";
import { compilePathRewrite } from "./path-rewrite.ts";
import { match } from "./route-fixtures.ts";

type Kind = NonNullable<HttpMatch["path"]>["kind"];

function rewritten(value: string, path: string, covered?: readonly [Kind, string]): string {
  const matched = covered && match({ path: { kind: covered[0], value: covered[1] } });
  const rewriter = compilePathRewrite({ kind: "prefix", value }, matched, assert.fail);
  return rewriter?.(path) ?? "";
}

test("a prefix is replaced with the slashes that Gateway API's table asks for", () => {
  const table: readonly (readonly [path: string, prefix: string, value: string, result: string])[] =
    [
      ["/foo/bar", "/foo", "/xyz", "/xyz/bar"],
      ["/foo/bar", "/foo", "/xyz/", "/xyz/bar"],
      ["/foo/bar", "/foo/", "/xyz", "/xyz/bar"],
      ["/foo/bar", "/foo/", "/xyz/", "/xyz/bar"],
      ["/foo", "/foo", "/xyz", "/xyz"],
      ["/foo/", "/foo", "/xyz", "/xyz/"],
      ["/foo/bar", "/foo", "", "/bar"],
      ["/foo/", "/foo", "", "/"],
      ["/foo", "/foo", "", "/"],
      ["/foo/", "/foo", "/", "/"],
      ["/foo", "/foo", "/", "/"],
      ["/foo?a=/foo", "/foo", "/xyz", "/xyz?a=/foo"],
      ["/foo/bar", "/", "/xyz", "/xyz/foo/bar"],
    ];
  for (const [path, prefix, value, result] of table) {
    assert.equal(rewritten(value, path, ["path-prefix", prefix]), result, `${path} ${prefix}`);
  }
});

test("Istio's prefix is replaced by characters, and what is matched whole is replaced whole", () => {
  assert.equal(rewritten("/v2", "/v1items?a", ["prefix", "/v1"]), "/v2items?a");
  assert.equal(rewritten("/", "/v1/items", ["prefix", "/v1/"]), "/items");
  assert.equal(rewritten("/v2", "/v1/items?a", ["regex", "/v1/.*"]), "/v2?a");
  assert.equal(rewritten("/v2", "/v1?a", ["exact", "/v1"]), "/v2?a");
  assert.equal(rewritten("/v2", "/v1"), "/v2/v1");
});

test("a full path keeps the query unless it has one", () => {
  const full = (value: string) =>
    compilePathRewrite({ kind: "full", value }, undefined, assert.fail)?.("/a?b=c");
  assert.equal(full("/x"), "/x?b=c");
  assert.equal(full("/x?y"), "/x?y");
  assert.equal(full(""), "/?b=c");
});

test("each match of a pattern is replaced, with groups, and never in the query", () => {
  const regex = (pattern: string, value: string, path: string) =>
    compilePathRewrite({ kind: "regex", pattern, value }, undefined, assert.fail)?.(path);
  assert.equal(regex("/([^/]+)/v(\\d)", "/v\\2/\\1", "/cart/v1/x?/a/v1"), "/v1/cart/x?/a/v1");
  assert.equal(regex("a", "$1$&\\\\", "/aa"), "/$1$&\\$1$&\\");
  assert.equal(regex("^/a", "b", "/a/c"), "/b/c");
});

test("a pattern that is none, or a group that is not there, is told and rewrites nothing", () => {
  const told: string[] = [];
  const report = (message: string) => void told.push(message);
  const broken = [
    { kind: "regex", pattern: "(", value: "" },
    { kind: "regex", pattern: "a", value: "\\1" },
  ] as const;
  for (const rewrite of broken) {
    assert.equal(compilePathRewrite(rewrite, undefined, report), undefined);
  }
  assert.match(
    told.join("\n"),
    /^.*"\(" is not RE2's.*\n"\\\\1" refers to a group that "a" lacks$/,
  );
});
