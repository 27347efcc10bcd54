/** What a client says in the first line of a request, and what users write to match it. */
import assert from "node:assert/strict";
import { isReply, normaliseRequest } from "#waypoint/filter/normalise.ts";
import type { PathNormalisation } from "#waypoint/filter/normalise-path.ts";
import { HeaderList } from "#waypoint/http/header-list.ts";
import { compileRegex, literalPrefix } from "#waypoint/route/regex.ts";
import type { FuzzTarget } from "../fuzz-target.ts";

const MODES: readonly PathNormalisation[] = ["base", "merge-slashes", "decode-and-merge-slashes"];

const texts = (...list: readonly string[]): Uint8Array[] => list.map((text) => Buffer.from(text));

/** `<authority> <path>`: normalised twice is normalised once, and nothing is left to resolve. */
export const requestTarget: FuzzTarget = {
  name: "request-target",
  corpus: texts(
    "web.shop:80 /a/./b/../c?d=/../e",
    "[FD00::1]:81 /%61%2e%2e/%2f..;/x",
    "WEB. //a///b%2F%5c..",
    "a@b *",
  ),
  words: [
    "/",
    "..",
    "/.",
    "%2e",
    "%2F",
    "%5c",
    "\\",
    ";",
    "%3b",
    "%00",
    "%25",
    "#",
    "?",
    ":",
    "[",
    "]",
  ],
  maxBytes: 400,
  check: (input) => {
    const [authority = "", ...rest] = input.toString("latin1").split(" ");
    const fields = { version: "1.1", method: "GET", scheme: "http" } as const;
    const head = { ...fields, authority, path: rest.join(" "), headers: new HeaderList() };
    let outcome = "";
    for (const mode of MODES) {
      const once = normaliseRequest(head, mode);
      if (isReply(once)) {
        assert.equal(once.status, 400);
        outcome += once.detail;
        continue;
      }
      assert.equal(normaliseRequest(once, mode), once, "what is normal already is not copied");
      const [pathname = ""] = once.path.split("?");
      assert.doesNotMatch(pathname, /[\\#\0]|\/\.\.?(\/|;|$)|%00/);
      assert.match(once.authority, /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[1-9]\d{0,4})?$/);
      outcome += once.path === head.path ? "same" : "changed";
    }
    return outcome;
  },
};

/** `<pattern>\n<text>`: whoever writes it, it ends soon, and its literal beginning is one. */
export const routeRegex: FuzzTarget = {
  name: "route-regex",
  corpus: texts("/a/[^/]+(/.*)?\n/a/b/c", "/v\\d+|/w\n/v12", "(x+x+)+y\nxxxxxxxxxx", "(?i)/A\n/a"),
  words: ["(", ")", "|", "*", "+", "?", "{1,9}", "[a-z]", "\\d", ".", "(?i)", "/", "\\Q", "\\pL"],
  maxBytes: 200,
  check: (input) => {
    const [pattern = "", text = ""] = input.toString("latin1").split("\n");
    const told: string[] = [];
    const regex = compileRegex(pattern, false, (message) => void told.push(message));
    assert.equal(told.length, regex === undefined ? 1 : 0);
    if (regex === undefined) return "refused";
    if (!regex.testExact(text)) return "other";
    assert.ok(text.startsWith(literalPrefix(pattern)), "the literal is no prefix of a match");
    return "match";
  },
};
