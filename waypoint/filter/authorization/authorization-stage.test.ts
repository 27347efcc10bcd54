import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { L7Authorization } from "#common/model/waypoint/policy.ts";
import { downstream } from "../filter-fixtures.ts";
import { authorization, gatewayWith, request, serviceWith } from "../request-fixture.ts";
import { authorizeConnection } from "./authorize-connection.ts";
import { PolicySets } from "./policy-sets.ts";
import { allow, DENIED, deny, NOT_ALLOWED, stage, status, to, when } from "./rule-fixtures.ts";

test("a refusal has Envoy's body, a code to look up, and names its policy only in the log", async () => {
  const reply = await stage(request({ policies: { authorizations: deny({}) }, path: "/secret" }));
  assert.deepEqual(reply, {
    status: 403,
    reason: "denied-by-policy",
    body: "RBAC: access denied",
    headers: [["x-ambient-denied-by", "denied-by-policy"]],
    detail: "shop/deny rule 0",
    grpcStatus: 7,
  });
});

test("DENY is stronger than ALLOW, and the gateway's policies count with the service's", async () => {
  const all = authorization("all", "allow", [{}]);
  assert.equal(await status([all]), 200);
  assert.equal(await status([all, ...deny({})]), DENIED);
  const gateway = gatewayWith({ authorizations: deny({}) });
  assert.equal(await status([all], { gateway }), DENIED);
  const elsewhere = gatewayWith({ authorizations: allow(to({ paths: ["/x"] })) });
  assert.equal(await status([], { gateway: elsewhere }), NOT_ALLOWED);
  assert.equal(await status([all], { gateway: elsewhere }), 200, "one ALLOW is enough");
});

test("row 61: no rules allow nothing, an empty rule matches all, an empty list matches less", async () => {
  assert.equal(await status([authorization("none", "allow", [])]), NOT_ALLOWED);
  assert.equal(await status([authorization("none", "deny", [])]), 200);
  assert.equal(await status(allow({})), 200);
  for (const empty of [to({}), to({ paths: [] }), to({ notPaths: [] }), { from: [{}] }]) {
    assert.equal(await status(allow(empty)), NOT_ALLOWED, JSON.stringify(empty));
    assert.equal(await status(deny(empty)), DENIED, JSON.stringify(empty));
  }
});

test("row 61: what is not understood allows nothing and keeps a DENY from nothing", async () => {
  for (const rule of [
    when("request.secret", ["x"]),
    when("request.headers[]", ["x"]),
    when("request.auth.claims", ["x"]),
    when("source.ip", ["10.0.0.300"]),
    when("destination.port", ["http"]),
    to({ ports: ["99999"] }),
    to({ paths: ["/a/{x}/{*}"] }),
    { from: [{ namespaces: ["a*b"] }] },
  ]) {
    assert.equal(await status(allow(rule)), NOT_ALLOWED, JSON.stringify(rule));
    assert.equal(await status(deny(rule)), DENIED, JSON.stringify(rule));
  }
});

test("AUDIT and dry runs decide nothing and are noted", async () => {
  const dry = { ...authorization("dry", "deny", [{}]), dryRun: true };
  const dryAllow = {
    ...authorization("dry-allow", "allow", [to({ paths: ["/x"] })]),
    dryRun: true,
  };
  const audit = authorization("audit", "audit", [to({ methods: ["GET"] })]);
  const context = request({ policies: { authorizations: [dry, dryAllow, audit] } });
  assert.equal(await stage(context), undefined);
  assert.deepEqual(context.notes, [
    "dry run: no ALLOW policy in dry run matches",
    "shop/audit rule 0 audits this",
    "dry run: shop/dry rule 0 denies this",
  ]);
});

describe("a TCP connection", () => {
  const sets = new PolicySets("connection");
  const judge = (authorizations: readonly L7Authorization[]) =>
    authorizeConnection(
      downstream({ service: serviceWith({ authorizations }) }),
      gatewayWith({}),
      sets,
    );
  const decide = (authorizations: readonly L7Authorization[]) =>
    judge(authorizations).denied?.reason;

  test("row 61: is refused by a DENY that asks only for HTTP", () => {
    assert.equal(decide(deny(to({ methods: ["GET"] }))), "denied-by-policy");
    assert.equal(decide(deny(to({ methods: ["GET"], ports: ["81"] }))), undefined);
    assert.equal(decide(deny(to({ methods: ["GET"], ports: ["80"] }))), "denied-by-policy");
  });

  test("is not allowed by an ALLOW that asks for HTTP", () => {
    assert.equal(decide(allow(to({ paths: ["*"] }))), "no-allow-matched");
    assert.equal(decide(allow({ from: [{ namespaces: ["shop"] }] })), undefined);
    assert.equal(decide(allow(to({ notPaths: ["/x"] }))), "no-allow-matched");
  });

  test("is to be asked about where a CUSTOM matches, unless it is denied anyway", () => {
    const ask = authorization("ask", "custom", [{}]);
    assert.deepEqual(
      judge([ask]).custom.map(({ policy }) => policy.key),
      ["shop/ask"],
    );
    const both = judge([ask, ...deny({})]);
    assert.deepEqual([both.denied?.reason, both.custom], ["denied-by-policy", []]);
  });
});
