import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { head } from "../route/route-fixtures.ts";
import { isReply, normaliseRequest } from "./normalise.ts";
import { normalisePath, type PathNormalisation } from "./normalise-path.ts";

const MODES: readonly PathNormalisation[] = [
  "none",
  "base",
  "merge-slashes",
  "decode-and-merge-slashes",
];

/** The path that policies and the upstream see; undefined: 400. */
function seen(path: string, mode: PathNormalisation = "base"): string | undefined {
  const result = normalisePath(path, mode);
  return typeof result === "string" ? result : undefined;
}

/** Authority and path after normalisation, or the status of the answer. */
function request(fields: Parameters<typeof head>[2], path = "/", headers = {}): string | number {
  const result = normaliseRequest(head(path, headers, fields), "base");
  return isReply(result) ? result.status : `${result.authority} ${result.path}`;
}

describe("D4.57 a path has one spelling", () => {
  test("dots are resolved, escaped or not, and never above the root", () => {
    for (const [path, expected] of [
      ["/a/./b/../c", "/a/c"],
      ["/a/%2e%2E/c", "/c"],
      ["/../../a", "/a"],
      ["/a/b/..", "/a/"],
      ["/a/b/.", "/a/b/"],
      ["/a\\..\\b", "/b"],
      ["/a//../b", "/a/b"],
      ["/.well-known/x.y", "/.well-known/x.y"],
      ["/a?x=/../b", "/a?x=/../b"],
    ] as const) {
      assert.equal(seen(path), expected, path);
    }
  });

  test("what need not be escaped is decoded, once; other escapes are in upper case", () => {
    assert.equal(seen("/%61dmin%2D%7e"), "/admin-~");
    assert.equal(seen("/%252e%252e/a"), "/%252e%252e/a");
    assert.equal(seen("/a%2fb%5cc%20"), "/a%2Fb%5Cc%20");
    assert.equal(seen("/\u00c3\u00a9"), seen("/%c3%a9"));
  });

  test("slashes are merged, and escaped ones decoded, where Istio's setting says so", () => {
    const path = "//a///b%2f%2Fc%5c/x?y=//%2f";
    assert.equal(seen(path, "none"), path);
    assert.equal(seen(path, "base"), "//a///b%2F%2Fc%5C/x?y=//%2f");
    assert.equal(seen(path, "merge-slashes"), "/a/b%2F%2Fc%5C/x?y=//%2f");
    assert.equal(seen(path, "decode-and-merge-slashes"), "/a/b/c/x?y=//%2f");
    assert.equal(seen("/a%2f..%2Fb", "decode-and-merge-slashes"), "/b");
  });

  test("parameters stay, but dots with parameters are refused, as are dots at escaped slashes", () => {
    assert.equal(seen("/a;b=c/d;e"), "/a;b=c/d;e");
    assert.equal(seen("/a/...;x"), "/a/...;x");
    const dots = ["/a/..;/b", "/..;x=y", "/a/.;/b", "/a/..%3b/b", "/a/..%2fb", "/a%5c..", "/%2e.;"];
    for (const path of dots) assert.equal(seen(path), undefined, path);
  });

  test("a fragment, NUL, a control character and what is no escape are refused in every mode", () => {
    const wrong = ["/a#b", "/a?b#c", "/%00", "/a%", "/%zz", "/a%4", "/a b", "/a\tb", "/a\u007f"];
    for (const mode of MODES) {
      for (const path of [...wrong, "a", "", "http://x/", "/\u0100"]) {
        assert.equal(seen(path, mode), undefined, `${path} ${mode}`);
      }
    }
  });

  test("* is for OPTIONS only", () => {
    assert.equal(request({ method: "OPTIONS" }, "*"), "web.shop *");
    assert.equal(request({ method: "GET" }, "*"), 400);
  });
});

test("D4.58 a method is any token, and its case is its own", () => {
  for (const method of ["GET", "get", "PROPFIND", "X-Y!"]) {
    assert.equal(request({ method }), "web.shop /");
  }
  for (const method of ["", "G T", "G\u0000T", "GET/", "A".repeat(65)]) {
    assert.equal(request({ method }), 400);
  }
});

describe("D4.59 a host has one spelling", () => {
  test("case, a dot at the end and the scheme's own port make no difference", () => {
    for (const authority of [
      "Web.Shop",
      "web.shop.",
      "web.shop:80",
      "WEB.shop.:080",
      "web.shop:",
    ]) {
      assert.equal(request({ authority }), "web.shop /", authority);
    }
    assert.equal(request({ authority: "web.shop:8080" }), "web.shop:8080 /");
    assert.equal(request({ authority: "web:443", scheme: "https" }), "web /");
    assert.equal(request({ authority: "web:443" }), "web:443 /");
    assert.equal(request({ authority: "[FD00::1]:81" }), "[fd00::1]:81 /");
  });

  test("what is no host, two hosts, or none but in HTTP/1.0, is refused", () => {
    const wrong = [
      "a@b",
      "a b",
      "a:0",
      "a:65536",
      "a:b",
      "a..b",
      ".a",
      "a%2e",
      "a/b",
      "[::1",
      "[x]",
    ];
    for (const authority of [...wrong, "", "a,b", "a".repeat(300)]) {
      assert.equal(request({ authority }), 400, authority);
    }
    assert.equal(request({}, "/", { host: "web.shop" }), 400);
    assert.equal(request({ authority: "", version: "1.0" }), " /");
  });
});

const PIECES = [
  "/",
  "\\",
  ".",
  "..",
  ";",
  "%2e",
  "%2F",
  "%5c",
  "%25",
  "%3B",
  "%41",
  "a",
  "?",
  "%c3",
  "\u00e9",
];
const anyPath = fc
  .array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ unit: "binary-ascii", maxLength: 2 })))
  .map((pieces) => `/${pieces.join("")}`);

test("normalising twice is normalising once, and leaves no dots to resolve", () => {
  fc.assert(
    fc.property(anyPath, fc.constantFrom(...MODES), (path, mode) => {
      const once = seen(path, mode);
      if (once === undefined) return;
      assert.equal(seen(once, mode), once);
      if (mode === "none") return;
      const [pathname = ""] = once.split("?");
      assert.doesNotMatch(pathname, /\\|\/\.\.?(\/|$)/);
      // Whoever decodes once more, and cuts off parameters, finds no way up either.
      for (const segment of pathname.split(/\/|%2F|%5C/)) {
        assert.doesNotMatch(segment.replace(/;.*|%3B.*/, ""), /^\.\.$/);
      }
    }),
    { numRuns: 5_000 },
  );
});
