import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { before, describe, test } from "node:test";
import type { JWTPayload } from "jose";
import type { JwtRule } from "#common/model/waypoint/policy.ts";
import {
  gatewayWith,
  jwtRule,
  type RequestOptions,
  request,
  statusOf,
} from "../request-fixture.ts";
import { JwksCache } from "./jwks-cache.ts";
import { createJwtStage } from "./jwt-stage.ts";
import { TOKEN_LENGTH } from "./limits.ts";
import { forged, ISSUER, jwks, type TestKey, testKey } from "./token-fixtures.ts";

const NOW_S = 1_800_000_000;

let key: TestKey;
let rsa: TestKey;
let other: TestKey;

before(async () => {
  [key, rsa, other] = await Promise.all([testKey("a"), testKey("r", "RS256"), testKey("a")]);
});

const cache = new JwksCache({ fetch: () => Promise.reject(new Error("none")), now: () => 0 });
const stage = createJwtStage({ jwks: cache, now: () => NOW_S * 1000 });

/** A request of which the service trusts `key` and `rsa`, with a bearer token. */
function bearing(token: string, rule: Partial<JwtRule> = {}, options: RequestOptions = {}) {
  const keys = rule.jwksUri === undefined ? { jwks: jwks(key, rsa) } : {};
  const rules = [jwtRule({ issuer: ISSUER, ...keys, ...rule })];
  return request({
    policies: { requestAuthentications: [{ key: "shop/jwt", rules }] },
    headers: [["authorization", `Bearer ${token}`]],
    ...options,
  });
}

const REMOTE = { jwksUri: "https://issuer.example/keys" };

async function outcome(context: ReturnType<typeof bearing>) {
  const reply = await stage(context);
  return reply === undefined ? context.tokens[0]?.principal : `${reply.status} ${reply.body}`;
}

test("a good token makes the request its subject's, and does not go on", async () => {
  const context = bearing(await key.sign({ role: "admin" }));
  assert.equal(await outcome(context), `${ISSUER}/alice`);
  assert.equal(context.tokens[0]?.claims.role, "admin");
  assert.equal(context.head.headers.has("authorization"), false);
});

test("forwardOriginalToken leaves the token in its place", async () => {
  const context = bearing(await key.sign({}), { forwardOriginalToken: true });
  assert.equal(await statusOf(stage, context), 200);
  assert.ok(context.head.headers.has("authorization"));
});

test("a request without a token goes on as nobody's", async () => {
  const context = bearing("", {}, { headers: [["authorization", "Basic YTpi"]] });
  assert.equal(await statusOf(stage, context), 200);
  assert.equal(context.tokens.length, 0);
});

test("a repeated token is taken from memory, and still held to its times", async () => {
  let now = NOW_S;
  const timed = createJwtStage({ jwks: cache, now: () => now * 1000 });
  const rules = [jwtRule({ issuer: ISSUER, jwks: jwks(key) })];
  const policies = { requestAuthentications: [{ key: "shop/jwt", rules }] };
  const headers = [["authorization", `Bearer ${await key.sign({ exp: NOW_S + 10 })}`]] as const;
  assert.equal(await statusOf(timed, request({ policies, headers })), 200);
  assert.equal(timed(request({ policies, headers })), undefined, "no promise: nothing to wait for");
  now += 3600;
  assert.equal(await statusOf(timed, request({ policies, headers })), 401);
});

describe("row 62: a token is refused", () => {
  const refused: [why: string, token: () => Promise<string> | string, rule?: Partial<JwtRule>][] = [
    ["with alg none", () => forged({ alg: "none" }, { iss: ISSUER, sub: "a" })],
    ["with alg none and an empty signature", () => forged({ alg: "none" }, { iss: ISSUER }, "")],
    ["with an HMAC made of the public key", () => confused(rsa)],
    ["of a key of another type than its alg", () => key.sign({}).then(relabel("RS256"))],
    ["of another key with the same kid", () => other.sign({})],
    ["with a kid that nobody has", () => key.sign({}, { kid: "../../etc/passwd" })],
    ["with a kid that is no text", () => forged({ alg: "ES256", kid: { a: 1 } }, { iss: ISSUER })],
    ["with a critical extension that nobody knows", () => forgedCritical()],
    ["of an issuer that is not configured", () => key.sign({ iss: "https://else" })],
    ["of no issuer", () => forged({ alg: "ES256" }, { sub: "a" })],
    ["for another audience", () => key.sign({ aud: "b" }), { audiences: ["a"] }],
    ["for no audience", () => key.sign({}), { audiences: ["a"] }],
    ["for a list of other audiences", () => key.sign({ aud: ["b", "c"] }), { audiences: ["a"] }],
    ["that expired longer ago than the leeway", () => key.sign({ exp: NOW_S - 61 })],
    ["that is not valid yet by more than the leeway", () => key.sign({ nbf: NOW_S + 61 })],
    ["whose exp is no number", () => key.sign({ exp: "9999999999" } as unknown as JWTPayload)],
    ["that is huge", () => key.sign({ pad: "x".repeat(TOKEN_LENGTH) })],
    ["that is no token", () => "opaque"],
    ["with a payload that is no object", () => forged({ alg: "ES256" }, ["iss"])],
    ["without keys to check it by", () => key.sign({}), { jwks: "{}" }],
    ["by keys that cannot be read", () => key.sign({}), { jwks: "not json" }],
  ];
  for (const [why, token, rule] of refused) {
    test(why, async () => {
      const context = bearing(await token(), rule);
      const reply = await stage(context);
      assert.equal(reply?.status, 401);
      assert.equal(reply.grpcStatus, 16);
      assert.match(reply.headers?.[0]?.join(": ") ?? "", /^www-authenticate: Bearer error=/);
      assert.equal(context.tokens.length, 0);
    });
  }
});

describe("row 62: a token is good", () => {
  const good: [why: string, token: () => Promise<string>, rule?: Partial<JwtRule>][] = [
    ["signed with RSA", () => rsa.sign({})],
    ["for one of several audiences", () => key.sign({ aud: ["x", "a"] }), { audiences: ["a"] }],
    ["that expired within the leeway", () => key.sign({ exp: NOW_S - 59 })],
    ["that is valid within the leeway", () => key.sign({ nbf: NOW_S + 59 })],
    ["that does not name its key", async () => (await keyless()).token],
  ];
  for (const [why, token, rule] of good) {
    test(why, async () => {
      const value = await token();
      const keys = why.includes("not name") ? { jwks: (await keyless()).jwks } : {};
      assert.equal(await statusOf(stage, bearing(value, { ...rule, ...keys })), 200);
    });
  }
});

test("row 62: while there are no keys to be had, a token is refused, and the log says why", async () => {
  const reply = await stage(bearing(await key.sign({}), REMOTE));
  assert.equal(reply?.status, 401);
  assert.equal(reply.reason, "jwks-unavailable");
  assert.match(reply.detail ?? "", /^shop\/jwt issuer https:\/\/issuer.example: .*: none$/);
});

test("two different tokens are refused, the same one twice is not", async () => {
  const [one, two] = await Promise.all([key.sign({}), key.sign({ sub: "mallory" })]);
  assert.match(
    (await outcome(bearing(one, {}, { path: `/?access_token=${two}` }))) ?? "",
    /^401 more than one token/,
  );
  const lines = [one, two].map((token) => ["authorization", `Bearer ${token}`] as const);
  assert.match((await outcome(bearing(one, {}, { headers: lines }))) ?? "", /^401 more than one/);
  const twice = bearing(one, {}, { path: `/?access_token=${one}` });
  assert.equal(await statusOf(stage, twice), 200);
});

test("tokens are found where the rule says, and nowhere else", async () => {
  const token = await key.sign({});
  const at = async (rule: Partial<JwtRule>, options: RequestOptions) => {
    const context = bearing(token, rule, options);
    return (await outcome(context)) ?? "nobody";
  };
  const header = { locations: [{ kind: "header", name: "X-Jwt", prefix: "Token " }] } as const;
  assert.match(await at(header, { headers: [["x-jwt", `Token ${token}`]] }), /alice/);
  assert.match(await at(header, { headers: [["x-jwt", `token ${token}`]] }), /nobody/);
  assert.match(await at(header, {}), /nobody/);
  const cookie = { locations: [{ kind: "cookie", name: "session" }] } as const;
  assert.match(await at(cookie, { headers: [["cookie", `a=b; session=${token}`]] }), /alice/);
  const query = { headers: [], path: `/x?a=1&access%5Ftoken=${token}#f` };
  assert.match(await at({}, query), /alice/);
  assert.match(await at({}, { headers: [["authorization", `bearer ${token}`]] }), /alice/);
});

test("claims and payload go upstream in headers, which no client can set", async () => {
  const rule = {
    outputPayloadToHeader: "X-Payload",
    outputClaimToHeaders: [
      { claim: "sub", header: "X-Sub" },
      { claim: "org.team", header: "X-Team" },
      { claim: "a.b", header: "X-Dotted" },
      { claim: "list", header: "X-List" },
      { claim: "evil", header: "X-Evil" },
      { claim: "none", header: "X-None" },
    ],
  };
  const claims = { org: { team: "web" }, "a.b": "dotted", list: [1], evil: "a\r\nx: y" };
  const token = await key.sign(claims);
  const spoofed = ["x-payload", "x-sub", "x-none"].map((name) => [name, "admin"] as const);
  const context = bearing(token, rule, {
    headers: [...spoofed, ["authorization", `Bearer ${token}`]],
  });
  assert.equal(await statusOf(stage, context), 200);
  const { headers } = context.head;
  assert.deepEqual(headers.getAll("x-sub"), ["alice"]);
  assert.equal(headers.get("x-team"), "web");
  assert.equal(headers.get("x-dotted"), "dotted");
  assert.equal(headers.get("x-list"), Buffer.from("[1]").toString("base64url"));
  assert.equal(headers.get("x-payload"), token.split(".")[1]);
  assert.equal(headers.has("x-none") || headers.has("x-evil"), false);
  const without = bearing("", rule, { headers: spoofed });
  assert.equal(await statusOf(stage, without), 200);
  assert.equal(without.head.headers.size, 0, "also without any token");
});

test("the rules of gateway and service count together", async () => {
  const rules = (issuer: string) => [{ key: "a/b", rules: [jwtRule({ issuer, jwks: jwks(key) })] }];
  const gateway = gatewayWith({ requestAuthentications: rules("https://gateway") });
  const token = await key.sign({ iss: "https://gateway" });
  assert.equal(await outcome(bearing(token, {}, { gateway })), "https://gateway/alice");
});

test("a browser's preflight needs no token, and gets nobody's", async () => {
  const context = bearing(
    "nonsense",
    {},
    {
      method: "OPTIONS",
      headers: [
        ["origin", "https://a"],
        ["access-control-request-method", "GET"],
        ["authorization", "Bearer nonsense"],
      ],
    },
  );
  assert.equal(await statusOf(stage, context), 200);
  assert.equal(context.tokens.length, 0);
});

function relabel(alg: string): (token: string) => string {
  return (token) => {
    const [, payload, signature] = token.split(".");
    const header = Buffer.from(JSON.stringify({ alg, kid: "a" })).toString("base64url");
    return `${header}.${payload}.${signature}`;
  };
}

function confused({ jwk }: TestKey): string {
  const unsigned = forged({ alg: "HS256", kid: jwk.kid }, { iss: ISSUER, sub: "a" }, "");
  const secret = JSON.stringify(jwk);
  const signature = createHmac("sha256", secret).update(unsigned.slice(0, -1)).digest("base64url");
  return unsigned + signature;
}

async function forgedCritical(): Promise<string> {
  const [, payload = "", signature = ""] = (await key.sign({})).split(".");
  const header = { alg: "ES256", kid: "a", crit: ["http://x"], "http://x": 1 };
  const first = Buffer.from(JSON.stringify(header)).toString("base64url");
  return `${first}.${payload}.${signature}`;
}

let anonymous: Promise<{ token: string; jwks: string }> | undefined;

function keyless(): Promise<{ token: string; jwks: string }> {
  anonymous ??= Promise.all([testKey(undefined), testKey(undefined)]).then(async ([one, two]) => ({
    token: await two.sign({}),
    jwks: jwks(one, two),
  }));
  return anonymous;
}
