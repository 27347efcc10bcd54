/** Which rule a connection follows: by its server name, and by whose client it is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { makeIdentity } from "#common/model/identity.ts";
import type { PortConfig, TcpRule } from "#common/model/waypoint/resource.ts";
import { downstream } from "../filter/filter-fixtures.ts";
import { serviceWith } from "../filter/request-fixture.ts";
import { chooseBackend } from "./choose-backend.ts";

function rule(hostname: string, consumerNamespace?: string): TcpRule {
  const origin = { kind: "TCPRoute", namespace: "shop", name: hostname, rule: 0 };
  const backends = [{ backend: { namespace: "shop", hostname, port: 1 }, weight: 1 }];
  return { origin, backends, ...(consumerNamespace !== undefined && { consumerNamespace }) };
}

type Rules = Pick<PortConfig, "tls" | "tcp">;

function chosen(rules: Rules, namespace: string, sni?: string): string {
  const port: PortConfig = { port: 443, protocol: "auto", ...rules };
  const peer = makeIdentity("cluster.local", namespace, "default");
  const client = downstream({ port, peer, sni, service: serviceWith({}) });
  const backend = chooseBackend(client, 0.5);
  return "ok" in backend ? backend.message : backend.hostname;
}

const SERVICE = serviceWith({}).hostname;

test("a name's rule goes before the port's, and the service itself is what is left", () => {
  const tls = [{ ...rule("named"), sni: ["a.example", "*.b.example"] }];
  assert.equal(chosen({ tls }, "web", "a.example"), "named");
  assert.equal(chosen({ tls }, "web", "x.b.example"), "named");
  assert.equal(chosen({ tls }, "web", "b.example"), SERVICE);
  assert.equal(chosen({ tls, tcp: [rule("any")] }, "web", "b.example"), "any");
  assert.equal(chosen({ tls, tcp: [rule("any")] }, "web"), "any");
  assert.equal(chosen({}, "web"), SERVICE);
});

test("a namespace with rules of its own has none of the others', whatever their kind", () => {
  const tls = [
    { ...rule("their name", "web"), sni: ["a.example"] },
    { ...rule("named"), sni: ["a.example", "b.example"] },
  ];
  const tcp = [rule("any")];
  assert.equal(chosen({ tls, tcp }, "web", "a.example"), "their name");
  assert.equal(chosen({ tls, tcp }, "web", "b.example"), SERVICE);
  assert.equal(chosen({ tls, tcp }, "web"), SERVICE);
  assert.equal(chosen({ tls, tcp }, "batch", "a.example"), "named");
  assert.equal(chosen({ tcp: [rule("theirs", "web"), ...tcp] }, "web"), "theirs");
  assert.equal(chosen({ tcp: [rule("theirs", "web"), ...tcp] }, "batch"), "any");
  assert.equal(chosen({ tcp: [rule("theirs", "web")] }, "batch"), SERVICE);
});

test("a share that leads nowhere is refused, and so is a route without any weight", () => {
  const origin = rule("x").origin;
  const invalid = [{ origin, backends: [{ invalid: "no such service", weight: 1 }] }];
  assert.match(chosen({ tcp: invalid }, "web"), /no such service/);
  assert.match(chosen({ tcp: [{ origin, backends: [] }] }, "web"), /no backend .* has a weight/);
});
