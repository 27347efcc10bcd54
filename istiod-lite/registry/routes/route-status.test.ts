/** What is said of routes in their status. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ParentStatus } from "#common/kubernetes/objects.ts";
import { grant, RouteFixture, route, service } from "./route-test-mesh.ts";

type Json = Readonly<Record<string, unknown>>;

const web = service("shop", "web");
const v1 = service("shop", "v1");
const rules = [{ backendRefs: [{ name: "v1", port: 80 }] }];
const parent = (fields: Json) => [{ group: "", kind: "Service", name: "web", ...fields }];
const extension = { type: "ExtensionRef", extensionRef: { group: "a.b", kind: "K", name: "n" } };
const accepted = "Accepted=True/Accepted";
const resolved = "ResolvedRefs=True/ResolvedRefs";

/** Per parent and condition `type=status/reason`, of the last status that was written. */
function said(fixture: RouteFixture, name = "r"): string[] | undefined {
  const status = fixture.statuses().findLast((candidate) => candidate.name === name);
  const parents = status?.fields?.parents as readonly ParentStatus[] | undefined;
  return parents?.flatMap(({ conditions = [] }) =>
    conditions.map(({ type, status: value, reason }) => `${type}=${value}/${reason}`),
  );
}

function messages(fixture: RouteFixture): string {
  return JSON.stringify(fixture.statuses().map(({ fields }) => fields));
}

const cases: [string, Parameters<typeof route>[0], Json, string[]][] = [
  ["a route in force", "HTTPRoute", { rules }, [accepted, resolved]],
  [
    "a parent that is not there",
    "HTTPRoute",
    { rules, parentRefs: parent({ name: "x" }) },
    ["Accepted=False/NoMatchingParent", resolved],
  ],
  [
    "a port that is not there",
    "HTTPRoute",
    { rules, parentRefs: parent({ port: 81 }) },
    ["Accepted=False/NoMatchingParent", resolved],
  ],
  [
    "a port's name that is not there",
    "GRPCRoute",
    { rules, parentRefs: parent({ sectionName: "x" }) },
    ["Accepted=False/NoMatchingParent", resolved],
  ],
  [
    "a port of another protocol",
    "TCPRoute",
    { rules },
    ["Accepted=False/NotAllowedByListeners", resolved],
  ],
  [
    "a backend that is not there",
    "HTTPRoute",
    { rules: [{ backendRefs: [{ name: "x", port: 1 }] }] },
    [accepted, "ResolvedRefs=False/BackendNotFound"],
  ],
  [
    "a backend of an unknown kind",
    "HTTPRoute",
    { rules: [{ backendRefs: [{ kind: "Pod", name: "x" }] }] },
    [accepted, "ResolvedRefs=False/InvalidKind"],
  ],
  [
    "a backend that is not permitted",
    "HTTPRoute",
    { rules: [{ backendRefs: [{ name: "x", namespace: "y", port: 1 }] }] },
    [accepted, "ResolvedRefs=False/RefNotPermitted"],
  ],
  [
    "a mirror that is not there",
    "HTTPRoute",
    {
      rules: [
        {
          ...rules[0],
          filters: [
            { type: "RequestMirror", requestMirror: { backendRef: { name: "x", port: 1 } } },
          ],
        },
      ],
    },
    [accepted, "ResolvedRefs=False/BackendNotFound"],
  ],
  [
    "a weight of nothing for what is not there",
    "HTTPRoute",
    { rules: [{ backendRefs: [{ name: "x", port: 1, weight: 0 }] }] },
    [accepted, "ResolvedRefs=False/BackendNotFound"],
  ],
  [
    "a rule that cannot be had",
    "HTTPRoute",
    { rules: [{ filters: [extension] }] },
    ["Accepted=False/UnsupportedValue", "ResolvedRefs=False/InvalidKind"],
  ],
  [
    "one rule of two that cannot be had",
    "HTTPRoute",
    { rules: [...rules, { filters: [extension] }] },
    [accepted, "PartiallyInvalid=True/UnsupportedValue", "ResolvedRefs=False/InvalidKind"],
  ],
  [
    "an expression that is none",
    "HTTPRoute",
    { rules: [{ matches: [{ path: { type: "RegularExpression", value: "(" } }] }] },
    ["Accepted=False/UnsupportedValue", resolved],
  ],
  [
    "two parents",
    "HTTPRoute",
    { rules, parentRefs: [...parent({}), ...parent({ name: "x" })] },
    [accepted, resolved, "Accepted=False/NoMatchingParent", resolved],
  ],
];

describe("the status of", () => {
  for (const [name, kind, spec, expected] of cases) {
    test(name, () => {
      const fixture = new RouteFixture(web, v1);
      fixture.set(route(kind, spec));
      assert.deepEqual(said(fixture), expected);
    });
  }

  test("a route with a parent of another controller says nothing", () => {
    const fixture = new RouteFixture(web, v1);
    fixture.set(route("HTTPRoute", { rules, parentRefs: [{ name: "ingress" }] }));
    assert.equal(said(fixture), undefined);
  });

  test("a route names its parent, the controller and the generation", () => {
    const fixture = new RouteFixture(web, v1);
    fixture.set(route("HTTPRoute", { rules }, { generation: 3 }));
    const [status] = fixture.statuses();
    assert.equal(status?.generation, 3);
    const parents = status?.fields?.parents as readonly ParentStatus[];
    assert.deepEqual(parents[0]?.parentRef, parent({})[0]);
    assert.equal(parents[0]?.controllerName, "istio.io/gateway-controller");
  });

  test("a TCPRoute whose port an older one has, until that is gone", () => {
    const fixture = new RouteFixture(
      service("shop", "web", [{ port: 1, name: "", protocol: "tcp" }]),
      v1,
    );
    const older = route("TCPRoute", { rules }, { name: "a" });
    fixture.set(older);
    fixture.set(route("TCPRoute", { rules }));
    assert.deepEqual(said(fixture), ["Accepted=False/Conflicted", resolved]);
    fixture.delete(older);
    assert.deepEqual(said(fixture), [accepted, resolved]);
  });

  test("TCPRoutes of other namespaces than their parent's: one of each is in force", () => {
    const fixture = new RouteFixture(
      service("shop", "web", [{ port: 1, name: "", protocol: "tcp" }]),
      v1,
    );
    const spec = { rules, parentRefs: parent({ namespace: "shop" }) };
    const inNamespace = (namespace: string, name: string) => {
      fixture.set(route("TCPRoute", spec, { namespace, name }));
      return said(fixture, name)?.[0];
    };
    assert.equal(inNamespace("shop", "a"), accepted);
    assert.equal(inNamespace("client", "b"), accepted);
    assert.equal(inNamespace("client", "c"), "Accepted=False/Conflicted");
    assert.equal(inNamespace("other", "d"), accepted);
  });
});

describe("a status", () => {
  test("is written once, and again only when it says something else", () => {
    const fixture = new RouteFixture(web, v1);
    fixture.set(route("HTTPRoute", { rules }));
    assert.equal(fixture.statuses().length, 1);
    fixture.set(route("HTTPRoute", { rules }));
    fixture.setService(web);
    assert.deepEqual(fixture.statuses(), []);
    fixture.deleteService(v1);
    assert.deepEqual(said(fixture), [accepted, "ResolvedRefs=False/BackendNotFound"]);
  });

  test("follows the parent, the grant and the generation", () => {
    const fixture = new RouteFixture(service("other", "far"));
    const across = [{ backendRefs: [{ name: "far", namespace: "other", port: 80 }] }];
    fixture.set(route("HTTPRoute", { rules: across }));
    assert.deepEqual(said(fixture), [
      "Accepted=False/NoMatchingParent",
      "ResolvedRefs=False/RefNotPermitted",
    ]);
    fixture.setService(web);
    assert.deepEqual(said(fixture), [accepted, "ResolvedRefs=False/RefNotPermitted"]);
    fixture.set(grant("other"));
    assert.deepEqual(said(fixture), [accepted, resolved]);
    fixture.set(route("HTTPRoute", { rules: across }, { generation: 2 }));
    assert.equal(fixture.statuses()[0]?.generation, 2);
  });

  test("is taken away when a route leaves the mesh's services", () => {
    const fixture = new RouteFixture(web, v1);
    fixture.set(route("HTTPRoute", { rules }));
    fixture.statuses();
    fixture.set(route("HTTPRoute", { rules, parentRefs: [{ name: "ingress" }] }));
    assert.deepEqual(fixture.statuses()[0]?.fields, { parents: [] });
  });

  test("says what has no effect, and what the answer is instead", () => {
    const fixture = new RouteFixture(web, v1);
    const sessionPersistence = { sessionName: "s" };
    fixture.set(
      route("HTTPRoute", { rules: [{ ...rules[0], sessionPersistence }], hostnames: ["a.b"] }),
    );
    const text = messages(fixture);
    assert.match(text, /spec\.hostnames has no effect/);
    assert.match(text, /spec\.rules\[0\]\.sessionPersistence: is not supported/);
    fixture.set(route("HTTPRoute", { rules: [...rules, { filters: [extension] }] }));
    assert.match(messages(fixture), /Dropped Rule\(s\) 1: their requests are answered with 500/);
  });

  test("tells no more than a few of many mistakes", () => {
    const fixture = new RouteFixture(web);
    const lost = Array.from({ length: 16 }, (_, i) => ({ name: `x${i}`, port: 1 }));
    fixture.set(route("HTTPRoute", { rules: [{ backendRefs: lost }] }));
    assert.match(messages(fixture), /backendRefs\[7\].*and 8 more/);
  });
});
