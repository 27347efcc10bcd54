import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { RequestOptions } from "../request-fixture.ts";
import { allow, DENIED, deny, NOT_ALLOWED, status, to, when } from "./rule-fixtures.ts";

describe("row 57: paths", () => {
  const table: [pattern: string, path: string, hits: boolean][] = [
    ["/a", "/a", true],
    ["/a", "/a?x=/b", true],
    ["/a", "/a#/b", true],
    ["/a", "/a/", false],
    ["/a", "/A", false],
    ["/a/*", "/a/b/c", true],
    ["/a/*", "/a", false],
    ["*.txt", "/a/b.txt", true],
    ["*.txt", "/a/b.txt?x", true],
    ["*.txt", "/a?b.txt", false],
    ["*", "/", true],
    ["/a/{*}", "/a/b", true],
    ["/a/{*}", "/a/b/c", false],
    ["/a/{*}", "/a/", false],
    ["/a/{**}", "/a/", true],
    ["/a/{**}", "/a/b/c", true],
    ["/a/{**}", "/a", false],
    ["/a/{**}/", "/a//", true],
    ["/a/{**}/", "/a/b", false],
    ["/{*}/x/{**}", "/a/x/b/c", true],
    ["/café", "/caf%C3%A9", true],
    ["/café", "/caf\u00c3\u00a9", true],
    ["*", "*", true],
  ];
  for (const [pattern, path, hits] of table) {
    test(`${pattern} ${hits ? "is" : "is not"} ${path}`, async () => {
      assert.equal(
        await status(allow(to({ paths: [pattern] })), { path }),
        hits ? 200 : NOT_ALLOWED,
      );
      assert.equal(await status(deny(to({ paths: [pattern] })), { path }), hits ? DENIED : 200);
      assert.equal(
        await status(allow(to({ notPaths: [pattern] })), { path }),
        hits ? NOT_ALLOWED : 200,
      );
    });
  }
});

test("row 58: a method allows only as it is written, and is denied in whatever case", async () => {
  assert.equal(await status(allow(to({ methods: ["GET"] })), { method: "get" }), NOT_ALLOWED);
  assert.equal(await status(deny(to({ methods: ["GET"] })), { method: "gEt" }), DENIED);
  assert.equal(await status(allow(to({ notMethods: ["PUT"] })), { method: "put" }), NOT_ALLOWED);
  assert.equal(await status(allow(to({ methods: ["PURGE"] })), { method: "PURGE" }), 200);
  assert.equal(await status(deny(to({ notMethods: ["GET"] })), { method: "PURGE" }), DENIED);
});

test("row 59: a host allows only as it is written but for case, and is denied in every form", async () => {
  const forms = ["a.shop", "A.SHOP", "a.shop:80", "a.shop.", "a.shop.:80", "a.shop:8443"];
  for (const authority of forms) {
    assert.equal(await status(deny(to({ hosts: ["a.shop"] })), { authority }), DENIED, authority);
    assert.equal(await status(allow(to({ notHosts: ["A.shop"] })), { authority }), NOT_ALLOWED);
  }
  assert.equal(await status(allow(to({ hosts: ["A.shop"] })), { authority: "a.SHOP" }), 200);
  assert.equal(
    await status(allow(to({ hosts: ["a.shop"] })), { authority: "a.shop:80" }),
    NOT_ALLOWED,
  );
  assert.equal(await status(allow(to({ hosts: ["a.shop:*"] })), { authority: "a.shop:80" }), 200);
  assert.equal(await status(deny(to({ hosts: ["a.shop:80"] })), { authority: "a.shop" }), DENIED);
  assert.equal(await status(deny(to({ hosts: ["*.shop"] })), { authority: "xshop" }), 200);
  assert.equal(await status(deny(to({ hosts: ["a.shop"] })), { authority: "[::1]:80" }), 200);
});

describe("row 60: headers", () => {
  const header = (...values: string[]): RequestOptions => ({
    headers: values.map((value) => ["x-role", value] as const),
  });
  const KEY = "request.headers[X-Role]";

  test("every line has to be allowed", async () => {
    const rule = allow(when(KEY, ["user", "a*"]));
    assert.equal(await status(rule, header("user")), 200);
    assert.equal(await status(rule, header("user", "ab")), 200);
    assert.equal(await status(rule, header("user", "root")), NOT_ALLOWED);
    assert.equal(await status(rule, header("user,root")), NOT_ALLOWED);
    assert.equal(await status(rule), NOT_ALLOWED);
  });

  test("any line, or element of a list, is denied", async () => {
    for (const values of [["root"], ["user", "root"], ["user, root"], ["user,root"], ["root "]]) {
      assert.equal(await status(deny(when(KEY, ["root", "root "])), header(...values)), DENIED);
      assert.equal(
        await status(allow(when(KEY, undefined, ["root", "root "])), header(...values)),
        NOT_ALLOWED,
      );
    }
    assert.equal(await status(deny(when(KEY, ["a,b"])), header("a", "b")), DENIED);
  });

  test("an exception of a DENY needs every line", async () => {
    const rule = deny(when(KEY, undefined, ["user"]));
    assert.equal(await status(rule, header("user")), 200);
    assert.equal(await status(rule, header("user", "root")), DENIED);
    assert.equal(await status(rule), DENIED, "it is missing");
  });

  test("one that is empty is present, one that is missing is not", async () => {
    assert.equal(await status(allow(when(KEY, ["*"])), header("")), 200);
    assert.equal(await status(allow(when(KEY, ["*"]))), NOT_ALLOWED);
    assert.equal(await status(allow(when(KEY, undefined, ["*"]))), 200);
    assert.equal(await status(deny(when(KEY, ["*"])), header("")), DENIED);
    assert.equal(await status(allow(when(KEY, undefined, ["x"]))), 200, "missing is not x");
  });

  test("bytes are compared as bytes, valid UTF-8 or not", async () => {
    assert.equal(await status(deny(when(KEY, ["jos\u00e9"])), header("jos\u00c3\u00a9")), DENIED);
    assert.equal(await status(allow(when(KEY, ["jos\u00e9"])), header("jos\u00c3\u00a9")), 200);
    assert.equal(
      await status(allow(when(KEY, undefined, ["a*"])), header("a\xff\x80")),
      NOT_ALLOWED,
    );
    assert.equal(await status(deny(when(KEY, ["a*"])), header("a\xff\x80")), DENIED);
    assert.equal(await status(allow(when(KEY, ["a"])), header("a\xff")), NOT_ALLOWED);
  });

  test("an underscore is no hyphen", async () => {
    const underscored = { headers: [["x_role", "root"]] } as const;
    assert.equal(await status(allow(when(KEY, ["root"])), underscored), NOT_ALLOWED);
  });
});
