/** What a client says in the first line of a request, and what users write to match it. */
import assert from "node:assert/strict";
import { isReply, normaliseRequest } from "#waypoint/filter/normalise.ts";
import type { PathNormalisation } from "#waypoint/filter/normalise-path.ts";
import { HeaderList } from "#waypoint/http/header-list.ts";
import { compileRegex, literalPrefix } from "#waypoint/route/regex.ts";
import { joinTrace } from "#waypoint/telemetry/trace-context.ts";
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

/**
 * `<name>: <value>` lines of a client's trace: whatever they say, the upstream gets one well-formed
 * trace, and the same one when it is read again.
 */
export const traceContext: FuzzTarget = {
  name: "trace-context",
  corpus: texts(
    "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\ntracestate: a=b",
    "b3: 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1-00f067aa0ba902b7",
    "x-b3-traceid: 00f067aa0ba902b7\nx-b3-spanid: 00f067aa0ba902b7\nx-b3-sampled: 0",
  ),
  words: ["traceparent: ", "b3: ", "x-b3-flags: 1", "-", "00", "ff", "0".repeat(16), "\n", "d"],
  maxBytes: 600,
  check: (input) => {
    const lines = input.toString("latin1").split("\n");
    const headers = new HeaderList(lines.flatMap((line) => splitHeader(line)));
    const dependencies = { randomHex: (bytes: number) => "00".repeat(bytes), random: () => 0.5 };
    const span = joinTrace(headers, 50, dependencies);
    assert.match(span.traceId, /^(?!0{32})[0-9a-f]{32}$/);
    assert.match(span.spanId, /^(?!0{16})[0-9a-f]{16}$/);
    const flags = span.sampled ? "01" : "00";
    const expected = [`00-${span.traceId}-${span.spanId}-${flags}`];
    assert.deepEqual(headers.getAll("traceparent"), expected);
    const next = joinTrace(headers, 50, dependencies);
    assert.equal(next.traceId, span.traceId);
    assert.equal(next.parentSpanId, span.spanId);
    assert.equal(next.sampled, span.sampled);
    return `${span.parentSpanId === undefined ? "begun" : "joined"} ${span.sampled}`;
  },
};

function splitHeader(line: string): readonly [string, string] {
  const colon = line.indexOf(":");
  if (colon < 0) return [line.toLowerCase(), ""];
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}

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
