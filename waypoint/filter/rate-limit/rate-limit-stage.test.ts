import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { Server, ServerCredentials, type sendUnaryData } from "@grpc/grpc-js";
import { makeIdentity } from "#common/model/identity.ts";
import type { Origin } from "#common/model/waypoint/http-route.ts";
import type { RateLimit } from "#common/model/waypoint/policy.ts";
import {
  type RateLimitRequest,
  type RateLimitResponse,
  RateLimitService,
} from "#common/xds/rate-limit-rpc.ts";
import { PlainUpstreams } from "../../upstream/plain-upstreams-fixture.ts";
import { createServiceCaller } from "../../upstream/service-caller.ts";
import { gatewayWith, type RequestOptions, rateLimit, request } from "../request-fixture.ts";
import type { RequestContext, Stage } from "../stage.ts";
import { createRateLimitStage } from "./rate-limit-stage.ts";
import { TokenBuckets } from "./token-buckets.ts";

let nowMs: number;
let upstreams: PlainUpstreams;
let stage: Stage;

beforeEach(() => {
  nowMs = 1_000;
  upstreams = new PlainUpstreams();
  const call = createServiceCaller({
    upstreams,
    ownIdentity: makeIdentity("cluster.local", "shop", "waypoint"),
    now: () => performance.now(),
  });
  stage = createRateLimitStage({ call, now: () => nowMs });
});
afterEach(() => upstreams.close());

const TWO_A_SECOND = { requests: 2, perMs: 1_000, burst: 2 };

function limited(limits: readonly RateLimit[], options: RequestOptions = {}): RequestContext {
  return request({ policies: { rateLimits: limits }, ...options });
}

async function statuses(limits: readonly RateLimit[], count: number, options?: RequestOptions) {
  const seen: number[] = [];
  for (let i = 0; i < count; i++) seen.push((await stage(limited(limits, options)))?.status ?? 200);
  return seen;
}

test("a bucket gives what is in it, refuses, and fills up again", async () => {
  const limits = [rateLimit({ local: TWO_A_SECOND })];
  assert.deepEqual(await statuses(limits, 3), [200, 200, 429]);
  nowMs += 500;
  assert.deepEqual(await statuses(limits, 2), [200, 429]);
  nowMs += 60_000;
  assert.deepEqual(await statuses(limits, 3), [200, 200, 429], "never more than the burst");
});

test("a client is told where it stands, and when to come back", async () => {
  const limits = [rateLimit({ local: { requests: 1, perMs: 10_000, burst: 3 } })];
  const first = limited(limits);
  await stage(first);
  assert.equal(first.responseHeaders.get("x-ratelimit-limit"), "3, 3;w=30");
  assert.equal(first.responseHeaders.get("x-ratelimit-remaining"), "2");
  assert.equal(first.responseHeaders.get("x-ratelimit-reset"), "10");
  await statuses(limits, 2);
  const refused = limited(limits);
  const reply = await stage(refused);
  assert.equal(reply?.status, 429);
  assert.equal(reply.reason, "rate-limited");
  assert.equal(reply.grpcStatus, 8);
  assert.deepEqual(reply.headers, [["retry-after", "10"]]);
  assert.equal(reply.detail, "shop/limits[0]");
  assert.equal(refused.responseHeaders.get("x-ratelimit-remaining"), "0");
});

test("requests are counted apart by what the limit says", async () => {
  const by = (kind: RateLimit["descriptors"][number]["kind"], name = "") => [
    rateLimit({ key: `k-${kind}`, local: TWO_A_SECOND, descriptors: [{ kind, name }] }),
  ];
  const header = (value: string): RequestOptions => ({ headers: [["x-user", value]] });
  assert.deepEqual(await statuses(by("header", "x-user"), 3, header("a")), [200, 200, 429]);
  assert.deepEqual(await statuses(by("header", "x-user"), 1, header("b")), [200]);
  assert.deepEqual(await statuses(by("header", "x-user"), 3), [200, 200, 429], "without it: one");
  assert.deepEqual(await statuses(by("path"), 3, { path: "/a?1" }), [200, 200, 429]);
  assert.deepEqual(await statuses(by("path"), 1, { path: "/b" }), [200]);
  assert.deepEqual(await statuses(by("identity"), 3), [200, 200, 429]);
  assert.deepEqual(await statuses(by("constant", "all"), 3), [200, 200, 429]);
});

test("claims count apart, and nobody's requests share a bucket", async () => {
  const limits = [
    rateLimit({ local: TWO_A_SECOND, descriptors: [{ kind: "claim", name: "sub" }] }),
  ];
  const as = async (sub?: string) => {
    const context = limited(limits);
    if (sub !== undefined) context.tokens.push({ issuer: "i", principal: sub, claims: { sub } });
    return (await stage(context))?.status ?? 200;
  };
  const seen = [await as("a"), await as("a"), await as("a"), await as("b"), await as()];
  assert.deepEqual(seen, [200, 200, 429, 200, 200]);
});

test("a limit is about the requests that it matches, and only those", async () => {
  const matches = [
    { pathPrefix: "/api", methods: ["POST"], headers: [{ name: "x-tier", value: "free" }] },
  ];
  const limits = [rateLimit({ local: { ...TWO_A_SECOND, burst: 1 }, matches })];
  const free: RequestOptions = {
    method: "POST",
    path: "/api/x?y",
    headers: [["x-tier", "free"]],
  };
  assert.deepEqual(await statuses(limits, 2, free), [200, 429]);
  for (const other of [{ path: "/apis" }, { method: "GET" }, { headers: [] }]) {
    assert.deepEqual(await statuses(limits, 2, { ...free, ...other }), [200, 200]);
  }
});

test("a request that one limit refuses takes nothing from the others", async () => {
  const small = rateLimit({ key: "s", local: { requests: 1, perMs: 60_000, burst: 1 } });
  const large = rateLimit({ key: "l", local: { requests: 1, perMs: 60_000, burst: 4 } });
  assert.deepEqual(await statuses([large, small], 5), [200, 429, 429, 429, 429]);
  assert.deepEqual(await statuses([large], 4), [200, 200, 200, 429]);
});

test("the table of buckets does not grow with what clients make up", () => {
  const buckets = new TokenBuckets(() => nowMs, 100);
  for (let i = 0; i < 10_000; i++) buckets.take(`k${i}`, TWO_A_SECOND);
  assert.equal(buckets.size, 100);
  buckets.take("kept", TWO_A_SECOND);
  for (let i = 0; i < 99; i++) {
    buckets.take(`n${i}`, TWO_A_SECOND);
    if (i % 10 === 0) buckets.available("kept", TWO_A_SECOND);
  }
  assert.equal(buckets.available("kept", TWO_A_SECOND), 1, "what is used is kept");
});

describe("a limit that a service counts", () => {
  let server: Server;
  let seen: RateLimitRequest[];
  let answer: (respond: sendUnaryData<RateLimitResponse>) => void;
  const UNDER: RateLimitResponse = {
    overLimit: false,
    responseHeaders: [["x-quota", "gold"]],
    requestHeaders: [["x-counted", "1"]],
    body: "",
    state: { requestsPerUnit: 10, unitSeconds: 60, remaining: 4, resetSeconds: 30 },
  };

  beforeEach(async () => {
    seen = [];
    server = new Server();
    server.addService(RateLimitService, {
      shouldRateLimit: (
        call: { request: RateLimitRequest },
        respond: sendUnaryData<RateLimitResponse>,
      ) => {
        seen.push(call.request);
        answer(respond);
      },
    });
    const credentials = ServerCredentials.createInsecure();
    const port = await new Promise<number>((bound, failed) => {
      server.bindAsync("127.0.0.1:0", credentials, (error, at) =>
        error ? failed(error) : bound(at),
      );
    });
    upstreams.ports.set("rls", port);
  });
  afterEach(() => server.forceShutdown());

  function global(failOpen = false, timeoutMs = 2_000): readonly RateLimit[] {
    const service = { namespace: "a", hostname: "rls", port: 8081, domain: "shop" };
    const descriptors = [
      { kind: "source-ip", name: "" },
      { kind: "header", name: "x-user" },
    ] as const;
    return [rateLimit({ descriptors, global: { ...service, timeoutMs, failOpen } })];
  }

  test("lets pass what is under it", async () => {
    answer = (respond) => respond(null, UNDER);
    const context = limited(global(), { headers: [["x-user", "u"]] });
    assert.equal(await stage(context), undefined);
    assert.deepEqual(seen, [
      {
        domain: "shop",
        entries: [
          { key: "remote_address", value: "10.0.0.1" },
          { key: "x-user", value: "u" },
        ],
      },
    ]);
    assert.equal(context.head.headers.get("x-counted"), "1");
    assert.equal(context.responseHeaders.get("x-quota"), "gold");
    assert.equal(context.responseHeaders.get("x-ratelimit-limit"), "10, 10;w=60");
    assert.equal(context.responseHeaders.get("x-ratelimit-remaining"), "4");
  });

  test("refuses what is over it", async () => {
    answer = (respond) => respond(null, { ...UNDER, overLimit: true, body: "slow down" });
    const reply = await stage(limited(global()));
    assert.equal(`${reply?.status} ${reply?.body}`, "429 slow down");
    assert.deepEqual(reply?.headers, [["retry-after", "30"]]);
  });

  const failures: [how: string, fail: () => void][] = [
    ["fails", () => (answer = (respond) => respond({ code: 13, details: "bug" }))],
    ["says nothing", () => (answer = () => undefined)],
    ["has no endpoint", () => upstreams.ports.clear()],
  ];
  for (const [how, fail] of failures) {
    test(`refuses while the service ${how}, unless the user says otherwise`, async () => {
      fail();
      const reply = await stage(limited(global(false, 100)));
      assert.equal(reply?.status, 500);
      assert.equal(reply.reason, "rate-limit-error");
      const open = limited(global(true, 100));
      assert.equal(await stage(open), undefined);
      assert.match(open.notes.join(), /failed open/);
    });
  }
});

test("a limit of a route counts what the route takes, and nothing else", async () => {
  const route = { kind: "HTTPRoute", namespace: "shop", name: "r" } as const;
  const limit = rateLimit({ local: TWO_A_SECOND, routes: [route] });
  const taken = async (rule: Partial<Origin> | undefined): Promise<number> => {
    const origin = rule && { ...route, rule: 0, ...rule };
    const context = { ...limited([limit]), routeOrigin: () => origin };
    return (await stage(context))?.status ?? 200;
  };
  const seen: number[] = [];
  for (const rule of [{}, { rule: 7 }, {}]) seen.push(await taken(rule));
  assert.deepEqual(seen, [200, 200, 429], "all rules of the route share the bucket");
  for (const rule of [{ kind: "GRPCRoute" }, { namespace: "other" }, { name: "s" }, undefined]) {
    assert.equal(await taken(rule), 200);
  }
});

test("a limit that is attached to the gateway and to the service counts a request once", async () => {
  const limits = [rateLimit({ local: TWO_A_SECOND })];
  const gateway = gatewayWith({ rateLimits: limits });
  assert.deepEqual(await statuses(limits, 3, { gateway }), [200, 200, 429]);
});
