import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { REFUSED_TOKEN_MS, TOKEN_CACHE_MS, TOKEN_REVIEWS_WAITING } from "#istiod-lite/limits.ts";
import { ApiTokenReviewer } from "./api-token-reviewer.ts";
import { failure, WritableServerFixture } from "./write/writable-server-fixture.ts";

const NOW = Date.parse("2026-01-01T00:00:00Z");

function bearer(claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `Bearer ${part({ alg: "RS256" })}.${part(claims)}.c2lnbmF0dXJl`;
}

const TOKEN = bearer({ exp: NOW / 1000 + 3_600 });

/** What an API server says of a good token of a pod. */
function good(extra: Readonly<Record<string, readonly string[]>> = {}) {
  return {
    authenticated: true,
    audiences: ["istio-ca"],
    user: {
      username: "system:serviceaccount:shop:web",
      extra: {
        "authentication.kubernetes.io/pod-name": ["web-1"],
        "authentication.kubernetes.io/pod-uid": ["uid-1"],
        "authentication.kubernetes.io/node-name": ["node-1"],
        ...extra,
      },
    },
  };
}

async function reviewer(t: TestContext) {
  const server = await WritableServerFixture.start(t);
  const state = { now: NOW, status: good() as object, outage: false };
  server.answer = ({ body }) => {
    if (state.outage) return failure(503, "ServiceUnavailable");
    assert.deepEqual((body.spec as { readonly audiences: unknown }).audiences, ["istio-ca"]);
    return [201, { kind: "TokenReview", status: state.status }];
  };
  const tokens = new ApiTokenReviewer(server.client(t), { now: () => state.now });
  return { server, state, tokens };
}

describe("a token that the API server reviews", () => {
  it("names its pod and its node", async (t) => {
    const { tokens } = await reviewer(t);
    assert.deepEqual(await tokens.review(TOKEN), {
      namespace: "shop",
      serviceAccount: "web",
      podName: "web-1",
      podUid: "uid-1",
      node: "node-1",
    });
  });

  it("is asked about once a minute, and by many calls at once only once", async (t) => {
    const { server, state, tokens } = await reviewer(t);
    await Promise.all([tokens.review(TOKEN), tokens.review(TOKEN), tokens.review(TOKEN)]);
    await tokens.review(TOKEN);
    assert.equal(server.asked.length, 1);
    state.now += TOKEN_CACHE_MS;
    await tokens.review(TOKEN);
    assert.equal(server.asked.length, 2);
  });

  it("is refused as soon as it is asked about after its pod has gone", async (t) => {
    const { state, tokens } = await reviewer(t);
    await tokens.review(TOKEN);
    state.status = { authenticated: false, error: "pod is gone" };
    state.now += TOKEN_CACHE_MS;
    await assert.rejects(tokens.review(TOKEN), { code: "UNAUTHENTICATED", message: /pod is gone/ });
  });

  it("that was refused is not asked about all the time, and not refused for long", async (t) => {
    const { server, state, tokens } = await reviewer(t);
    state.status = { authenticated: false };
    await assert.rejects(tokens.review(TOKEN), { code: "UNAUTHENTICATED" });
    await assert.rejects(tokens.review(TOKEN), { code: "UNAUTHENTICATED" });
    assert.equal(server.asked.length, 1);
    state.status = good();
    state.now += REFUSED_TOKEN_MS;
    assert.equal((await tokens.review(TOKEN)).podName, "web-1");
  });

  it("that nobody could review is refused now, and asked about again at once", async (t) => {
    const { state, tokens } = await reviewer(t);
    state.outage = true;
    await assert.rejects(tokens.review(TOKEN), { code: "TOKEN_NOT_REVIEWED" });
    state.outage = false;
    assert.equal((await tokens.review(TOKEN)).podName, "web-1");
  });

  for (const [what, status] of [
    ["is for nobody in particular", { ...good(), audiences: undefined }],
    ["is for somebody else", { ...good(), audiences: ["api"] }],
    ["is a person's", { ...good(), user: { username: "admin" } }],
    ["is bound to no pod", { ...good(), user: { username: "system:serviceaccount:shop:web" } }],
    ["has a pod without a uid", good({ "authentication.kubernetes.io/pod-uid": [] })],
    ["has a node of no name", good({ "authentication.kubernetes.io/node-name": ["../x"] })],
  ] as const) {
    it(`is refused where it ${what}`, async (t) => {
      const { state, tokens } = await reviewer(t);
      state.status = status;
      await assert.rejects(tokens.review(TOKEN), { code: "UNAUTHENTICATED" });
    });
  }

  for (const [what, header] of [
    ["has expired", bearer({ exp: NOW / 1000 - 1 })],
    ["does not say when it expires", bearer({})],
    ["is no JSON", "Bearer a.b.c"],
    ["is none", undefined],
  ] as const) {
    it(`is refused unasked where it ${what}`, async (t) => {
      const { server, tokens } = await reviewer(t);
      await assert.rejects(tokens.review(header), { code: "UNAUTHENTICATED" });
      assert.deepEqual(server.asked, []);
    });
  }

  it("that finds no place in the queue is told to come again", async (t) => {
    const { tokens } = await reviewer(t);
    const claims = (jti: number) => ({ exp: NOW / 1000 + 3_600, jti });
    const many = Array.from({ length: TOKEN_REVIEWS_WAITING }, (_, jti) => bearer(claims(jti)));
    const asked = many.map((token) => tokens.review(token));
    await assert.rejects(tokens.review(TOKEN), { code: "TOKEN_NOT_REVIEWED" });
    await Promise.all(asked);
    assert.equal((await tokens.review(TOKEN)).podName, "web-1");
  });

  it("is never believed beyond its own expiry", async (t) => {
    const { server, state, tokens } = await reviewer(t);
    const short = bearer({ exp: NOW / 1000 + 10 });
    await tokens.review(short);
    state.now += 10_000;
    await assert.rejects(tokens.review(short), { code: "UNAUTHENTICATED" });
    assert.equal(server.asked.length, 1);
  });
});
