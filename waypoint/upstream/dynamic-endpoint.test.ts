import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ip, service } from "#common/mesh-state/test-records.ts";
import { makeIdentity } from "#common/model/identity.ts";
import type { Downstream } from "../filter/stage.ts";
import { HeaderList } from "../http/header-list.ts";
import type { RequestHead } from "../http/message.ts";
import { dynamicTarget, isDynamic } from "./dynamic-endpoint.ts";

function asking(host: string, sni?: string): Downstream {
  return {
    peer: makeIdentity("cluster.local", "shop", "client"),
    sourceWorkload: undefined,
    source: { ip: ip("10.0.0.9"), port: 1 },
    destination: { host, port: 443 },
    service: undefined,
    port: undefined,
    workload: undefined,
    sni,
  };
}

function head(authority: string): RequestHead {
  const headers = new HeaderList();
  return { version: "1.1", method: "GET", scheme: "http", authority, path: "/", headers };
}

const WILDCARD = service("*.cdn.example.com", ["240.240.0.1"]);
const PASSTHROUGH = service("api.example.com", ["192.0.2.1"], {
  loadBalancing: { mode: "passthrough", routingPreference: [], healthPolicy: "allow-all" },
});

test("only wildcards and what passes through leave the endpoint to each request", () => {
  assert.equal(isDynamic(WILDCARD, {}), true);
  assert.equal(isDynamic(PASSTHROUGH, {}), true);
  assert.equal(isDynamic(service("api", []), {}), false);
  assert.equal(isDynamic(service("api", []), { loadBalancer: { kind: "passthrough" } }), true);
});

describe("a wildcard's endpoint", () => {
  const rows: readonly (readonly [string, Downstream, string | undefined, string | undefined])[] = [
    ["is the request's host", asking("240.240.0.1"), "a.cdn.example.com:80", "a.cdn.example.com"],
    [
      "is the host of a TLS client hello",
      asking("240.240.0.1", "B.cdn.example.com"),
      undefined,
      "b.cdn.example.com",
    ],
    ["is what CONNECT named", asking("c.cdn.example.com"), "evil.example.com", "c.cdn.example.com"],
    ["is never another's host", asking("240.240.0.1"), "evil.example.com", undefined],
    ["is never the wildcard's own domain", asking("240.240.0.1"), "cdn.example.com", undefined],
    ["is never what only ends like it", asking("240.240.0.1"), "evilcdn.example.com", undefined],
    ["is never what is no host name", asking("240.240.0.1"), "a b.cdn.example.com", undefined],
    ["is never left to chance", asking("240.240.0.1"), undefined, undefined],
  ];
  for (const [title, downstream, authority, hostname] of rows) {
    test(title, () => {
      const given = authority === undefined ? undefined : head(authority);
      assert.equal(dynamicTarget(WILDCARD, downstream, given)?.hostname, hostname);
    });
  }
});

test("what passes through goes to the address asked for, or by name where nobody has it", () => {
  const target = (host: string) => dynamicTarget(PASSTHROUGH, asking(host), head("evil"));
  assert.deepEqual(target("192.0.2.1"), { ip: "192.0.2.1", hostname: "" });
  assert.deepEqual(target("240.240.0.7"), { ip: "", hostname: "api.example.com" });
  assert.deepEqual(target("api.example.com"), { ip: "", hostname: "api.example.com" });
});
