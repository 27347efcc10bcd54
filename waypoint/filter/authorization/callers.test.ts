import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { L7Rule } from "#common/model/waypoint/policy.ts";
import { type RequestOptions, request } from "../request-fixture.ts";
import type { VerifiedToken } from "../stage.ts";
import { allow, DENIED, deny, NOT_ALLOWED, stage, status, when } from "./rule-fixtures.ts";

describe("tokens", () => {
  const claims = {
    iss: "https://i/x",
    sub: "u",
    aud: ["web", "api"],
    azp: "app",
    scope: "read write",
    groups: ["dev", 7],
    "a.b": "dotted",
    org: { team: "web", deep: { x: "y" } },
    age: 42,
  };
  const token: VerifiedToken = { issuer: "https://i/x", principal: "https://i/x/u", claims };

  async function decided(rule: Partial<L7Rule>, ...tokens: VerifiedToken[]) {
    const context = request({ policies: { authorizations: allow(rule) } });
    context.tokens.push(...tokens);
    return (await stage(context)) === undefined;
  }

  const table: [rule: Partial<L7Rule>, allowed: boolean][] = [
    [{ from: [{ requestPrincipals: ["*"] }] }, true],
    [{ from: [{ requestPrincipals: ["https://i/x/u"] }] }, true],
    [{ from: [{ requestPrincipals: ["https://i/x/*"] }] }, true],
    [{ from: [{ requestPrincipals: ["https://i/*"] }] }, false],
    [{ from: [{ requestPrincipals: ["*/u"] }] }, true],
    [{ from: [{ notRequestPrincipals: ["*"] }] }, false],
    [when("request.auth.principal", ["https://i/x/u"]), true],
    [when("request.auth.audiences", ["api"]), true],
    [when("request.auth.audiences", ["ap"]), false],
    [when("request.auth.presenter", ["app"]), true],
    [when("request.auth.claims[scope]", ["write"]), true],
    [when("request.auth.claims[scope]", ["read write"]), true],
    [when("request.auth.claims[groups]", ["dev"]), true],
    [when("request.auth.claims[groups]", ["7"]), false],
    [when("request.auth.claims[a.b]", ["dotted"]), true],
    [when("request.auth.claims[a][b]", ["dotted"]), false],
    [when("request.auth.claims[org][team]", ["w*"]), true],
    [when("request.auth.claims[org][deep][x]", ["y"]), true],
    [when("request.auth.claims[org]", ["*"]), false],
    [when("request.auth.claims[age]", ["42"]), false],
    [when("request.auth.claims[age]", undefined, ["42"]), false],
    [when("request.auth.claims[constructor][name]", ["*"]), false],
    [when("request.auth.claims[missing]", undefined, ["x"]), true],
  ];
  for (const [rule, allowed] of table) {
    test(`${JSON.stringify(rule)} is ${allowed ? "met" : "not met"}`, async () => {
      assert.equal(await decided(rule, token), allowed);
    });
  }

  test("nobody's request meets only what asks for no token", async () => {
    assert.equal(await decided({ from: [{ requestPrincipals: ["*"] }] }), false);
    assert.equal(await decided({ from: [{ notRequestPrincipals: ["*"] }] }), true);
  });

  test("a subject with a slash is not another issuer's", async () => {
    const sly = { iss: "https://i", sub: "x/u" };
    const rule = { from: [{ requestPrincipals: ["https://i/x/u"] }] };
    assert.equal(await decided(rule, { issuer: "https://i", principal: "", claims: sly }), false);
  });
});

test("callers are told apart by certificate and connection, never by a header", async () => {
  const from = (source: L7Rule["from"][number]) => allow({ from: [source] });
  const spoofed: RequestOptions = {
    headers: [
      ["x-forwarded-for", "192.168.9.9"],
      ["forwarded", "for=192.168.9.9"],
      ["x-forwarded-client-cert", "URI=spiffe://cluster.local/ns/admin/sa/root"],
      ["baggage", "k8s.namespace.name=admin"],
    ],
  };
  for (const source of [
    { principals: ["cluster.local/ns/admin/sa/root"] },
    { namespaces: ["admin"] },
    { ipBlocks: ["192.168.9.9"] },
    { remoteIpBlocks: ["192.168.9.9"] },
  ]) {
    assert.equal(await status(from(source), spoofed), NOT_ALLOWED, "row 64");
  }
  for (const source of [
    { principals: ["cluster.local/ns/shop/sa/frontend"] },
    { principals: ["spiffe://cluster.local/ns/shop/sa/frontend"] },
    { principals: ["*/sa/frontend"] },
    { namespaces: ["sho*"] },
    { serviceAccounts: ["frontend"] },
    { serviceAccounts: ["shop/frontend"] },
    { ipBlocks: ["10.0.0.0/24"] },
    { remoteIpBlocks: ["10.0.0.1"] },
  ]) {
    assert.equal(await status(from(source), spoofed), 200, JSON.stringify(source));
    assert.equal(await status(deny({ from: [source] }), spoofed), DENIED, JSON.stringify(source));
  }
  assert.equal(await status(allow(when("source.serviceAccount", ["shop/frontend"]))), 200);
  assert.equal(await status(allow(when("source.trustDomain", ["cluster.local"]))), 200);
  assert.equal(await status(allow(when("destination.port", ["80"]))), 200);
  assert.equal(await status(allow(when("destination.ip", ["10.96.0.0/16"]))), 200);
  const sni = { downstream: { sni: "Db.example" } };
  assert.equal(await status(allow(when("connection.sni", ["db.example"])), sni), 200);
  assert.equal(await status(allow(when("connection.sni", ["*"]))), NOT_ALLOWED);
});
