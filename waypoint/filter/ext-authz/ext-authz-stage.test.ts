import assert from "node:assert/strict";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, test } from "node:test";
import { Server, ServerCredentials, type sendUnaryData } from "@grpc/grpc-js";
import { makeIdentity } from "#common/model/identity.ts";
import type { ExtAuthzProvider } from "#common/model/waypoint/policy.ts";
import {
  AuthorizationService,
  type CheckRequest,
  type CheckResponse,
} from "#common/xds/external-auth-rpc.ts";
import { PlainUpstreams } from "../../upstream/plain-upstreams-fixture.ts";
import { createServiceCaller } from "../../upstream/service-caller.ts";
import { PolicySets } from "../authorization/policy-sets.ts";
import { authorization, type RequestOptions, request } from "../request-fixture.ts";
import type { RequestContext, Stage } from "../stage.ts";
import { createExternalAuthorizationStage } from "./ext-authz-stage.ts";
import { extAuthzProvider } from "./provider-fixture.ts";

let upstreams: PlainUpstreams;
let stage: Stage;

beforeEach(() => {
  upstreams = new PlainUpstreams();
  const call = createServiceCaller({
    upstreams,
    ownIdentity: makeIdentity("cluster.local", "shop", "waypoint"),
    now: () => performance.now(),
  });
  stage = createExternalAuthorizationStage(new PolicySets("http"), { call, now: () => 5_000 });
});

/** A request that `shop/ask` hands to the provider. */
function asked(parts: Partial<ExtAuthzProvider>, options: RequestOptions = {}): RequestContext {
  const policy = authorization("ask", "custom", [{ to: [{ operation: {} }] } as never]);
  const rules = [{ from: [], to: [{ paths: ["/ask*"] }], when: [] }];
  const authorizations = [
    { ...policy, rules, provider: extAuthzProvider({ port: 9000, timeoutMs: 2_000, ...parts }) },
  ];
  return request({ path: "/ask?a=b", policies: { authorizations }, ...options });
}

describe("an authorizer over HTTP", () => {
  let seen: { method?: string; url?: string; headers: IncomingHttpHeaders; body: string }[];
  let answer: (response: ServerResponse) => void;
  let server: ReturnType<typeof createServer>;

  beforeEach(async () => {
    seen = [];
    answer = (response) => response.end();
    server = createServer((incoming, response) => {
      let body = "";
      incoming.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      incoming.on("end", () => {
        const { method = "", url = "", headers } = incoming;
        seen.push({ method, url, headers, body });
        answer(response);
      });
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    upstreams.ports.set("authz", (server.address() as AddressInfo).port);
  });
  afterEach(() => {
    upstreams.close();
    server.closeAllConnections();
    server.close();
  });

  test("is asked with method, host and path, and the headers that are listed", async () => {
    const parts = {
      pathPrefix: "/check",
      includeRequestHeaders: ["x-user", "X-Trace-*"],
      includeAdditionalHeaders: { "X-From": "waypoint" },
    };
    const headers = [
      ["authorization", "Bearer x"],
      ["x-user", "u"],
      ["x-trace-id", "1"],
      ["x-secret", "s"],
    ] as const;
    const context = asked(parts, { method: "POST", authority: "a.shop", headers });
    assert.equal(await stage(context), undefined);
    const [check] = seen;
    assert.equal(`${check?.method} ${check?.url}`, "POST /check/ask?a=b");
    assert.equal(check?.headers.host, "a.shop");
    assert.equal(check?.headers.authorization, "Bearer x");
    assert.equal(check?.headers["x-user"], "u");
    assert.equal(check?.headers["x-trace-id"], "1");
    assert.equal(check?.headers["x-from"], "waypoint");
    assert.equal(check?.headers["x-secret"], undefined);
  });

  test("is not asked about what its policy does not match", async () => {
    assert.equal(await stage(asked({}, { path: "/other" })), undefined);
    assert.equal(seen.length, 0);
  });

  test("that allows may add the headers that are listed, and take away", async () => {
    answer = (response) =>
      response
        .setHeader("x-user", "alice")
        .setHeader("x-unlisted", "1")
        .setHeader("set-cookie", ["a=1", "b=2"])
        .setHeader("x-envoy-auth-headers-to-remove", "cookie, Host")
        .end();
    const context = asked(
      { headersToUpstreamOnAllow: ["x-user"], headersToDownstreamOnAllow: ["set-cookie"] },
      {
        headers: [
          ["x-user", "mallory"],
          ["cookie", "c"],
        ],
      },
    );
    assert.equal(await stage(context), undefined);
    assert.deepEqual(context.head.headers.flat, ["x-user", "alice"]);
    assert.deepEqual(context.responseHeaders.getAll("set-cookie"), ["a=1", "b=2"]);
    assert.equal(context.responseHeaders.has("x-unlisted"), false);
  });

  test("that denies is the client's answer", async () => {
    answer = (response) =>
      response.writeHead(302, { location: "/login", "x-why": "no session" }).end("go there");
    const reply = await stage(asked({ headersToDownstreamOnDeny: ["x-why"] }));
    assert.equal(reply?.status, 302);
    assert.equal(reply.reason, "external-authorization-denied");
    assert.equal(reply.body, "go there");
    const headers = Object.fromEntries(reply.headers ?? []);
    assert.deepEqual(headers, { location: "/login", "x-why": "no session" });
  });

  const failures: [how: string, fail: () => void][] = [
    ["answers 5xx", () => (answer = (response) => response.writeHead(503).end())],
    ["breaks off", () => (answer = (response) => response.destroy())],
    ["says nothing", () => (answer = () => undefined)],
    ["says too much", () => (answer = (response) => response.end("x".repeat(100_000)))],
    ["is not there", () => upstreams.ports.set("authz", 1)],
    ["has no endpoint", () => upstreams.ports.clear()],
  ];
  for (const [how, fail] of failures) {
    test(`that ${how} denies, unless the user says otherwise`, async () => {
      fail();
      const closed = await stage(asked({ timeoutMs: 200, statusOnError: 503 }));
      assert.equal(closed?.status, 503);
      assert.equal(closed.reason, "external-authorization-error");
      assert.match(closed.detail ?? "", /^shop\/ask rule 0: /);
      const open = asked({ timeoutMs: 200, failOpen: true });
      assert.equal(await stage(open), undefined);
      assert.match(open.notes.join(), /failed open/);
    });
  }

  test("that nobody knows denies, whatever is said of failing open", async () => {
    const policy = authorization("ask", "custom", [{}]);
    const reply = await stage(request({ policies: { authorizations: [policy] } }));
    assert.equal(reply?.status, 403);
  });

  test("gets the body that it wants, and none is made up", async () => {
    const parts = { maxRequestBytes: 4 };
    const without = await stage(asked(parts));
    assert.equal(without?.reason, "external-authorization-error");
    const peek = (text: string, complete: boolean) => () =>
      Promise.resolve({ bytes: Buffer.from(text), complete });
    assert.equal(await stage({ ...asked(parts), peekBody: peek("abc", true) }), undefined);
    assert.equal(seen[0]?.body, "abc");
    assert.equal(seen[0]?.headers["x-envoy-auth-partial-body"], "false");
    const large = await stage({ ...asked(parts), peekBody: peek("abcd", false) });
    assert.equal(large?.status, 413);
    const partial = asked({ ...parts, allowPartialMessage: true });
    assert.equal(await stage({ ...partial, peekBody: peek("abcd", false) }), undefined);
    assert.equal(seen[1]?.headers["x-envoy-auth-partial-body"], "true");
  });

  test("is not waited for when the client has gone", async () => {
    answer = () => undefined;
    const client = new AbortController();
    const waiting = stage(asked({}, { signal: client.signal }));
    client.abort();
    assert.match((await waiting)?.detail ?? "", /the client has gone/);
  });
});

describe("an authorizer over gRPC", () => {
  let server: Server;
  let seen: CheckRequest[];
  let answer: (respond: sendUnaryData<CheckResponse>) => void;

  beforeEach(async () => {
    seen = [];
    server = new Server();
    server.addService(AuthorizationService, {
      check: (call: { request: CheckRequest }, respond: sendUnaryData<CheckResponse>) => {
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
    upstreams.ports.set("authz", port);
  });
  afterEach(() => {
    upstreams.close();
    server.forceShutdown();
  });

  test("learns who asks for what, and may change the headers", async () => {
    answer = (respond) =>
      respond(null, {
        allowed: true,
        requestHeaders: [
          { name: "x-user", value: "alice", how: "set" },
          { name: "x-role", value: "b", how: "add" },
          { name: "content-length", value: "0", how: "set" },
          { name: ":path", value: "/admin", how: "set" },
        ],
        removedHeaders: ["x-secret"],
        responseHeaders: [{ name: "x-seen", value: "1", how: "add" }],
      });
    const headers = [
      ["x-user", "mallory"],
      ["x-role", "a"],
      ["x-secret", "s"],
      ["x-bytes", "jos\u00c3\u00a9"],
    ] as const;
    const context = asked({ protocol: "grpc" }, { headers });
    assert.equal(await stage(context), undefined);
    const [check] = seen;
    assert.equal(check?.source.principal, "spiffe://cluster.local/ns/shop/sa/frontend");
    assert.equal(check?.source.address.ip, "10.0.0.1");
    assert.equal(check?.http?.path, "/ask?a=b");
    assert.equal(check?.http?.headers[":path"], "/ask?a=b");
    assert.equal(check?.http?.headers["x-bytes"], "jos\u00e9");
    const bytes = ["x-bytes", "jos\u00c3\u00a9"];
    assert.deepEqual(context.head.headers.flat, [
      "x-user",
      "alice",
      "x-role",
      "a",
      ...bytes,
      "x-role",
      "b",
    ]);
    assert.equal(context.responseHeaders.get("x-seen"), "1");
  });

  test("that denies says how", async () => {
    const headers = [{ name: "x-why", value: "no", how: "set" }] as const;
    answer = (respond) =>
      respond(null, { allowed: false, code: 7, httpStatus: 418, headers, body: "teapot" });
    const reply = await stage(asked({ protocol: "grpc" }));
    assert.equal(`${reply?.status} ${reply?.body}`, "418 teapot");
    assert.deepEqual(reply?.headers, [["x-why", "no"]]);
    answer = (respond) =>
      respond(null, { allowed: false, code: 16, httpStatus: 0, headers: [], body: "" });
    assert.equal((await stage(asked({ protocol: "grpc" })))?.status, 403);
  });

  test("that fails, or says nothing, denies", async () => {
    answer = (respond) => respond({ code: 14, details: "not now" });
    const reply = await stage(asked({ protocol: "grpc" }));
    assert.equal(reply?.reason, "external-authorization-error");
    assert.match(reply?.detail ?? "", /grpc-status 14/);
    answer = () => undefined;
    const slow = await stage(asked({ protocol: "grpc", timeoutMs: 100 }));
    assert.match(slow?.detail ?? "", /within 100 ms|grpc-status 4/);
  });
});
