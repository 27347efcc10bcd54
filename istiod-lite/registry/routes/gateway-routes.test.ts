/** Which routes a service's ports get, in which order, and whom a change concerns. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ServiceFacts } from "../waypoints/contributions.ts";
import { entryHost, grant, RouteFixture, route, service } from "./route-test-mesh.ts";

const web = service("shop", "web");
const v1 = service("shop", "v1");
const far = service("other", "far");
const backendRefs = [{ name: "v1", port: 80 }];
const rules = [{ backendRefs }];
const acrossRules = [{ backendRefs: [{ name: "far", namespace: "other", port: 80 }] }];
const parent = (fields: object) => [{ group: "", kind: "Service", name: "web", ...fields }];

function rulesOf(fixture: RouteFixture, facts: ServiceFacts = web, port = 80): string[] {
  const made = fixture.of(facts, port)?.http?.rules ?? [];
  return made.map(({ origin, consumerNamespace }) => {
    const scope = consumerNamespace === undefined ? "" : ` for ${consumerNamespace}`;
    return `${origin.namespace}/${origin.name}[${origin.rule}]${scope}`;
  });
}

function backendsOf(fixture: RouteFixture, facts: ServiceFacts = web): unknown[] {
  const [rule] = fixture.of(facts)?.http?.rules ?? [];
  return (rule?.backends ?? []).map(({ backend, invalid }) => backend?.hostname ?? invalid);
}

const keyOf = ({ namespace, hostname }: ServiceFacts): string => `${namespace}/${hostname}`;

describe("routes of a port", () => {
  test("are none without any, so that requests go to the service itself", () => {
    const fixture = new RouteFixture(web);
    assert.equal(fixture.of(web), undefined);
    fixture.set(route("HTTPRoute", { rules, parentRefs: parent({ name: "v1" }) }));
    assert.equal(fixture.of(web), undefined);
  });

  test("come the oldest first, then by namespace and name, then by rule", () => {
    const fixture = new RouteFixture(web, v1);
    const at = (name: string, creationTimestamp?: string) =>
      fixture.set(route("HTTPRoute", { rules: [...rules, ...rules] }, { name, creationTimestamp }));
    at("c", "2026-01-01T00:00:02Z");
    at("b", "2026-01-01T00:00:02Z");
    at("d", "2026-01-01T00:00:01.5Z");
    fixture.set(
      route("GRPCRoute", { rules }, { name: "b", creationTimestamp: "2026-01-01T00:00:02Z" }),
    );
    const names = rulesOf(fixture);
    const expected = ["d[0]", "d[1]", "b[0]", "b[0]", "b[1]", "c[0]", "c[1]"];
    assert.deepEqual(
      names,
      expected.map((name) => `shop/${name}`),
    );
  });

  test("are those that name it by number or by name", () => {
    const ports = [
      { port: 80, name: "http", protocol: "http" },
      { port: 81, name: "admin", protocol: "auto" },
    ] as const;
    const both = service("shop", "web", ports);
    const fixture = new RouteFixture(both, v1);
    const on = (name: string, fields: object) =>
      fixture.set(route("HTTPRoute", { rules, parentRefs: parent(fields) }, { name }));
    on("all", {});
    on("number", { port: 81 });
    on("name", { sectionName: "http" });
    on("neither", { port: 80, sectionName: "admin" });
    assert.deepEqual(rulesOf(fixture, both), ["shop/all[0]", "shop/name[0]"]);
    assert.deepEqual(rulesOf(fixture, both, 81), ["shop/all[0]", "shop/number[0]"]);
  });

  test("of another namespace are for its clients only", () => {
    const fixture = new RouteFixture(web, v1);
    const consumer = { rules, parentRefs: parent({ namespace: "shop" }) };
    fixture.set(route("HTTPRoute", consumer, { namespace: "client" }));
    assert.deepEqual(rulesOf(fixture), ["client/r[0] for client"]);
    assert.equal(fixture.of(web)?.http?.onlyConsumers, true, "others have the service itself");
    fixture.set(route("HTTPRoute", { rules }));
    assert.equal(fixture.of(web)?.http?.onlyConsumers, undefined);
  });

  test("of a ServiceEntry are those of each of its hosts", () => {
    const [a, b] = [entryHost("shop", "ext", "a.example"), entryHost("shop", "ext", "b.example")];
    const fixture = new RouteFixture(v1);
    fixture.services.set("ServiceEntry/shop/ext", [a, b]);
    const parentRefs = [{ group: "networking.istio.io", kind: "ServiceEntry", name: "ext" }];
    const affected = fixture.set(route("HTTPRoute", { rules, parentRefs }));
    assert.deepEqual(affected, new Set([keyOf(a), keyOf(b)]));
    assert.deepEqual([rulesOf(fixture, a).length, rulesOf(fixture, b).length], [1, 1]);
  });

  test("an HTTPRoute without rules answers 500, as its default rule has no backend", () => {
    const fixture = new RouteFixture(web);
    fixture.set(route("HTTPRoute", {}));
    const [rule] = fixture.of(web)?.http?.rules ?? [];
    assert.deepEqual(rule?.backends, []);
    assert.equal(rule?.matches.length, 1);
  });
});

describe("routes below HTTP", () => {
  const ports = [
    { port: 80, name: "http", protocol: "http" },
    { port: 443, name: "tls", protocol: "tls" },
    { port: 9000, name: "x", protocol: "auto" },
  ] as const;
  const mixed = service("shop", "web", ports);

  test("are for the ports whose protocol they can tell apart", () => {
    const fixture = new RouteFixture(mixed, v1);
    fixture.set(route("TCPRoute", { rules }));
    fixture.set(route("HTTPRoute", { rules }));
    fixture.set(route("TLSRoute", { rules, hostnames: ["a.example"] }));
    assert.deepEqual(Object.keys(fixture.of(mixed, 80) ?? {}), ["http"]);
    assert.deepEqual(Object.keys(fixture.of(mixed, 443) ?? {}), ["tls", "tcp"]);
    assert.deepEqual(Object.keys(fixture.of(mixed, 9000) ?? {}), ["http", "tls", "tcp"]);
  });

  test("the oldest TCPRoute has a port's connections", () => {
    const fixture = new RouteFixture(mixed, v1);
    fixture.set(route("TCPRoute", { rules }, { name: "b" }));
    fixture.set(route("TCPRoute", { rules }, { name: "a" }));
    assert.equal(fixture.of(mixed, 443)?.tcp?.[0]?.origin.name, "a");
    const hostname = v1.hostname;
    const backend = { namespace: "shop", hostname, port: 80 };
    assert.deepEqual(fixture.of(mixed, 443)?.tcp?.[0]?.backends, [{ backend, weight: 1 }]);
  });

  test("of another namespace are for its clients only, one of its own there", () => {
    const fixture = new RouteFixture(mixed, v1);
    const spec = { rules, parentRefs: parent({ namespace: "shop" }) };
    for (const name of ["b", "a"]) {
      fixture.set(route("TCPRoute", { rules }, { name }));
      fixture.set(route("TCPRoute", spec, { name, namespace: "client" }));
    }
    fixture.set(route("TLSRoute", { ...spec, hostnames: ["a"] }, { namespace: "client" }));
    const { tcp = [], tls = [] } = fixture.of(mixed, 443) ?? {};
    assert.deepEqual(
      [...tcp, ...tls].map(({ origin, consumerNamespace }) => [origin.name, consumerNamespace]),
      [
        ["a", "client"],
        ["a", undefined],
        ["r", "client"],
      ],
    );
  });

  test("exact server names come before wildcards, long ones before short ones", () => {
    const fixture = new RouteFixture(mixed, v1);
    const tls = (name: string, ...hostnames: string[]) =>
      fixture.set(route("TLSRoute", { rules, hostnames }, { name }));
    tls("a", "*.example", "x.example");
    tls("b", "*.sub.example", "y.example");
    const made = fixture.of(mixed, 443)?.tls?.map(({ origin, sni }) => [origin.name, ...sni]);
    assert.deepEqual(made, [
      ["a", "x.example"],
      ["b", "y.example"],
      ["b", "*.sub.example"],
      ["a", "*.example"],
    ]);
  });
});

describe("a backend", () => {
  test("that is not there gets its share answered with 500, until it is", () => {
    const fixture = new RouteFixture(web);
    fixture.set(route("HTTPRoute", { rules }));
    assert.deepEqual(backendsOf(fixture), ["there is no Service shop/v1"]);
    assert.deepEqual(fixture.setService(v1), new Set([keyOf(web)]));
    assert.deepEqual(backendsOf(fixture), [v1.hostname]);
    fixture.deleteService(v1);
    assert.deepEqual(backendsOf(fixture), ["there is no Service shop/v1"]);
  });

  test("of another namespace needs a grant, and loses it with the grant", () => {
    const fixture = new RouteFixture(web, far);
    fixture.set(route("HTTPRoute", { rules: acrossRules }));
    assert.match(String(backendsOf(fixture)[0]), /a ReferenceGrant there has to permit it/);
    assert.deepEqual(fixture.set(grant("other")), new Set([keyOf(web)]));
    assert.deepEqual(backendsOf(fixture), [far.hostname]);
    assert.deepEqual(fixture.delete(grant("other")), new Set([keyOf(web)]));
    assert.match(String(backendsOf(fixture)[0]), /ReferenceGrant/);
  });

  const useless: [string, ReturnType<typeof grant>][] = [
    ["in a third namespace", grant("third")],
    ["for another name", grant("other", { name: "near" })],
    ["for another kind", grant("other", { kind: "Secret" })],
    ["to routes of another namespace", grant("other", {}, { namespace: "x" })],
    ["to routes of another kind", grant("other", {}, { kind: "GRPCRoute" })],
    ["to another group", grant("other", {}, { group: "" })],
  ];
  for (const [name, given] of useless) {
    test(`is not permitted by a grant ${name}`, () => {
      const fixture = new RouteFixture(web, far);
      fixture.set(given);
      fixture.set(route("HTTPRoute", { rules: acrossRules }));
      assert.match(String(backendsOf(fixture)[0]), /ReferenceGrant/);
    });
  }

  test("that is the consumer route's own parent needs no grant", () => {
    const fixture = new RouteFixture(far);
    const parentRefs = parent({ name: "far", namespace: "other" });
    fixture.set(route("HTTPRoute", { rules: acrossRules, parentRefs }));
    assert.deepEqual(backendsOf(fixture, far), [far.hostname]);
  });

  test("is found by its host, of the own namespace first", () => {
    const own = entryHost("shop", "ext", "a.example");
    const fixture = new RouteFixture(web, own);
    const ref = { group: "networking.istio.io", kind: "Hostname", name: "a.example", port: 80 };
    fixture.set(
      route("HTTPRoute", { rules: [{ backendRefs: [ref, { ...ref, name: v1.hostname }] }] }),
    );
    assert.deepEqual(backendsOf(fixture), ["a.example", `there is no host ${v1.hostname}`]);
    assert.deepEqual(fixture.setService(v1), new Set([keyOf(web)]));
    assert.deepEqual(backendsOf(fixture), ["a.example", v1.hostname]);
  });

  test("that is found by its host needs the grant of its namespace, too", () => {
    const fixture = new RouteFixture(web, far);
    const ref = { group: "networking.istio.io", kind: "Hostname", name: far.hostname, port: 80 };
    fixture.set(route("HTTPRoute", { rules: [{ backendRefs: [ref] }] }));
    assert.match(String(backendsOf(fixture)[0]), /ReferenceGrant/);
    assert.deepEqual(fixture.set(grant("other")), new Set([keyOf(web)]));
    assert.deepEqual(backendsOf(fixture), [far.hostname]);
    fixture.delete(grant("other"));
    assert.match(String(backendsOf(fixture)[0]), /ReferenceGrant/);
  });

  test("without the port that is asked for is none", () => {
    const fixture = new RouteFixture(web, v1);
    const ref = { name: "v1", port: 81 };
    fixture.set(route("HTTPRoute", { rules: [{ backendRefs: [ref] }] }));
    const message = "Service shop/v1 has no port 81, it has port 80 (http)";
    assert.deepEqual(backendsOf(fixture), [message]);
  });

  test("of an unknown kind is none", () => {
    const fixture = new RouteFixture(web);
    const ref = { group: "example.com", kind: "Bucket", name: "b" };
    fixture.set(route("HTTPRoute", { rules: [{ backendRefs: [ref] }] }));
    assert.match(String(backendsOf(fixture)[0]), /example\.com\/Bucket is no kind of backend/);
  });
});

describe("a change concerns", () => {
  test("the parents before it and after it", () => {
    const fixture = new RouteFixture(web, v1);
    assert.deepEqual(fixture.set(route("HTTPRoute", { rules })), new Set([keyOf(web)]));
    const moved = route("HTTPRoute", { rules, parentRefs: parent({ name: "v1" }) });
    assert.deepEqual(fixture.set(moved), new Set([keyOf(web), keyOf(v1)]));
    assert.deepEqual(fixture.delete(moved), new Set([keyOf(v1)]));
    assert.equal(fixture.of(v1), undefined);
  });

  test("nobody when only the status of a route is another", () => {
    const fixture = new RouteFixture(web, v1);
    fixture.set(route("HTTPRoute", { rules }));
    assert.equal(fixture.set(route("HTTPRoute", { rules }, { generation: 2 })), "none");
  });

  test("the parents when a route is made anew, for it is a younger one then", () => {
    const fixture = new RouteFixture(web, v1);
    const at = (creationTimestamp: string) => route("HTTPRoute", { rules }, { creationTimestamp });
    fixture.set(at("2026-01-01T00:00:00Z"));
    assert.deepEqual(fixture.set(at("2026-01-01T00:00:01Z")), new Set([keyOf(web)]));
  });

  test("nobody when a backend changes in what no route can see", () => {
    const fixture = new RouteFixture(web, v1);
    fixture.set(route("HTTPRoute", { rules }));
    fixture.setService(v1);
    assert.equal(fixture.setService({ ...v1, labels: { a: "b" } }), "none");
    const other = { ...v1, ports: [{ port: 81, name: "http", protocol: "http" }] } as const;
    assert.deepEqual(fixture.setService(other), new Set([keyOf(web)]));
  });

  test("nobody when a service changes that no route names", () => {
    const fixture = new RouteFixture(web, v1);
    fixture.set(route("HTTPRoute", { rules }));
    assert.equal(fixture.setService(service("shop", "other")), "none");
    assert.equal(fixture.set(grant("other")), "none");
  });
});
