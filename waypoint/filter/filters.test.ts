import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { HttpRule } from "#common/model/waypoint/http-route.ts";
import { HeaderList } from "../http/header-list.ts";
import { head, match } from "../route/route-fixtures.ts";
import { preflightReply, setCorsHeaders } from "./cors.ts";
import { directReply } from "./direct-response.ts";
import { DELAYED, injectFault } from "./fault.ts";
import { context, routeOf } from "./filter-fixtures.ts";
import { modifyHeaders } from "./header-modifier.ts";
import { isReply } from "./normalise.ts";
import { redirectReply } from "./redirect.ts";
import { rewriteRequest } from "./rewrite.ts";

describe("header modifiers", () => {
  test("remove, then set, then add", () => {
    const headers = new HeaderList(["a", "1", "b", "2", "c", "3"]);
    const set = [{ name: "b", value: "9" }];
    const add = [{ name: "b", value: "10" }];
    modifyHeaders(headers, { remove: ["a", "x"], set, add });
    assert.deepEqual(headers.flat, ["b", "9", "c", "3", "b", "10"]);
    modifyHeaders(headers, undefined);
    assert.equal(headers.size, 3);
  });

  test("never touch what frames the message, nor write a second line", () => {
    const before = ["content-length", "3", "a", "1"];
    const headers = new HeaderList([...before]);
    const names = ["transfer-encoding", "content-length", "host", ":path", "te", "a b", "X"];
    const each = names.map((name) => ({ name, value: "0" }));
    const split = [{ name: "b", value: "1\r\nhost: x" }];
    modifyHeaders(headers, { remove: names, set: [...each, ...split], add: each });
    assert.deepEqual(headers.flat, before);
  });
});

describe("rewrites", () => {
  const rewritten = (rewrite: NonNullable<HttpRule["rewrite"]>, path: string) => {
    const request = head(path);
    const prefix = match({ path: { kind: "path-prefix", value: "/a" } });
    return rewriteRequest(request, routeOf({ rewrite, matches: [prefix] }, request));
  };

  test("change host and path, and leave the client's head alone", () => {
    const path = { kind: "prefix", value: "/b" } as const;
    const result = rewritten({ authority: "Other.Shop", path }, "/a/c?d");
    assert.ok(!isReply(result));
    assert.deepEqual([result.authority, result.path], ["other.shop", "/b/c?d"]);
    const request = head("/");
    assert.equal(rewriteRequest(request, routeOf({})), request);
  });

  test("that cannot be done are answered with 500, and never forwarded as they came", () => {
    const broken = { kind: "regex", pattern: "(", value: "" } as const;
    const spaced = { kind: "full", value: "/a b" } as const;
    for (const rewrite of [{ path: broken }, { path: spaced }, { authority: "a b" }]) {
      const result = rewritten(rewrite, "/a");
      assert.ok(isReply(result) && result.status === 500);
    }
  });
});

describe("redirects", () => {
  const located = (redirect: Partial<HttpRule["redirect"]>, port = 80, path = "/a?b=c") => {
    const reply = redirectReply(
      head(path),
      routeOf({ redirect: { status: 302, ...redirect } }),
      port,
    );
    assert.equal(reply?.status, 302);
    return reply?.headers?.find(([name]) => name === "location")?.[1];
  };

  test("the port is the scheme's where a scheme is given, else the listener's", () => {
    assert.equal(located({ scheme: "https" }, 8080), "https://web.shop/a?b=c");
    assert.equal(located({ hostname: "new" }, 8080), "http://new:8080/a?b=c");
    assert.equal(located({ hostname: "new" }, 80), "http://new/a?b=c");
    assert.equal(located({ scheme: "https", port: 443 }), "https://web.shop/a?b=c");
    assert.equal(located({ scheme: "https", port: 8443 }), "https://web.shop:8443/a?b=c");
    assert.equal(located({ port: 80 }, 8080), "http://web.shop/a?b=c");
  });

  test("the path is replaced, whole or by its prefix, and the query stays", () => {
    assert.equal(located({ path: { kind: "full", value: "/x" } }), "http://web.shop/x?b=c");
    assert.equal(located({ path: { kind: "prefix", value: "/x" } }), "http://web.shop/x/a?b=c");
    assert.equal(located({}, 80, "*"), "http://web.shop/");
  });

  test("a route without one goes on", () => {
    assert.equal(redirectReply(head("/"), routeOf({}), 80), undefined);
  });
});

test("a direct response is what stands in the route", () => {
  const headers = [{ name: "X-A", value: "1" }];
  const reply = directReply(routeOf({ directResponse: { status: 418, body: "no", headers } }));
  assert.deepEqual([reply?.status, reply?.body, reply?.headers], [418, "no", [["x-a", "1"]]]);
  assert.equal(directReply(routeOf({})), undefined);
});

describe("CORS", () => {
  const cors = {
    allowOrigins: [
      { kind: "exact", value: "https://a.example" },
      { kind: "regex", value: "https://[a-z]+\\.b\\.example" },
    ],
    allowMethods: ["GET", "PUT"],
    allowHeaders: ["x-a"],
    exposeHeaders: ["x-b"],
    maxAgeSeconds: 60,
    allowCredentials: true,
  } as const;
  const asked = (origin: string) =>
    head("/", { origin, "access-control-request-method": "PUT" }, { method: "OPTIONS" });

  test("a preflight of an allowed origin is answered, any other goes on", () => {
    const route = routeOf({ cors });
    const reply = preflightReply(asked("https://x.b.example"), route);
    assert.equal(reply?.status, 200);
    assert.deepEqual(Object.fromEntries(reply?.headers ?? []), {
      "access-control-allow-origin": "https://x.b.example",
      "access-control-allow-credentials": "true",
      "access-control-allow-methods": "GET,PUT",
      "access-control-allow-headers": "x-a",
      "access-control-max-age": "60",
      vary: "origin",
    });
    assert.equal(preflightReply(asked("https://evil.example"), route), undefined);
    assert.equal(preflightReply(asked("https://x.b.example.evil"), route), undefined);
    assert.equal(preflightReply(head("/", { origin: "https://a.example" }), route), undefined);
    assert.equal(preflightReply(asked("https://a.example"), routeOf({})), undefined);
  });

  test("wildcards are answered with what was asked for where credentials are allowed", () => {
    const any = {
      ...cors,
      allowOrigins: [{ kind: "exact", value: "*" }],
      allowMethods: ["*"],
    } as const;
    const header = (policy: HttpRule["cors"] & object) =>
      new Map(preflightReply(asked("https://z"), routeOf({ cors: policy }))?.headers);
    assert.equal(header(any).get("access-control-allow-methods"), "PUT");
    assert.equal(header(any).get("access-control-allow-origin"), "https://z");
    const open = header({ ...any, allowCredentials: false });
    assert.equal(open.get("access-control-allow-methods"), "*");
    assert.equal(open.has("access-control-allow-credentials"), false);
  });

  test("a response says who may read it, over what the application said, and that it varies", () => {
    const response = new HeaderList(["access-control-allow-origin", "*", "vary", "accept"]);
    setCorsHeaders(head("/", { origin: "https://a.example" }), routeOf({ cors }), response);
    assert.equal(response.combined("access-control-allow-origin"), "https://a.example");
    assert.equal(response.combined("vary"), "accept,origin");
    assert.equal(response.get("access-control-expose-headers"), "x-b");
    const untouched = new HeaderList(["access-control-allow-origin", "*"]);
    setCorsHeaders(head("/", { origin: "https://evil.example" }), routeOf({ cors }), untouched);
    assert.deepEqual(untouched.flat, ["access-control-allow-origin", "*"]);
  });
});

describe("faults", () => {
  const abort = { status: 503, grpcStatus: 14, percent: 10 };
  const delay = { milliseconds: 700, percent: 50 };

  test("hit their share, each for itself, the delay first", async () => {
    const chances = [0.4, 0.05, 0.6, 0.05, 0.6, 0.5];
    const slept: number[] = [];
    const dependencies = {
      random: () => chances.shift() ?? 1,
      sleep: (milliseconds: number) => Promise.resolve(void slept.push(milliseconds)),
    };
    const request = context();
    const route = routeOf({ fault: { delay, abort } });
    const both = await injectFault(request, route, dependencies);
    assert.deepEqual([both?.status, both?.reason, both?.grpcStatus], [503, "fault-abort", 14]);
    assert.deepEqual([slept, request.notes], [[700], [DELAYED]]);
    assert.equal((await injectFault(context(), route, dependencies))?.status, 503);
    assert.equal(await injectFault(context(), route, dependencies), undefined);
    assert.equal(slept.length, 1);
  });

  test("of 0 and 100 percent never and always happen, and none are no work", () => {
    const sleep = () => assert.fail();
    const at = (percent: number, chance: number) =>
      injectFault(context(), routeOf({ fault: { abort: { status: 500, percent } } }), {
        random: () => chance,
        sleep,
      });
    assert.equal(at(0, 0), undefined);
    assert.notEqual(at(100, 0.999), undefined);
    assert.equal(injectFault(context(), routeOf({}), { random: assert.fail, sleep }), undefined);
  });
});
