import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Condition, HTTPRoute } from "#common/kubernetes/objects.ts";
import { backendTlsPolicyColumns, routeColumns } from "./route-columns.ts";

const condition = (type: string, status: "True" | "False", reason: string): Condition => ({
  type,
  status,
  reason,
});
const well = [condition("Accepted", "True", "Accepted"), condition("ResolvedRefs", "True", "R")];
const ill = [
  condition("Accepted", "False", "NoMatchingParent"),
  condition("ResolvedRefs", "False", "RefNotPermitted"),
];
const parentRef = { name: "web" };
const controllerName = "istio.io/gateway-controller";

function route(...all: (readonly Condition[])[]): HTTPRoute {
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name: "r", namespace: "shop" },
    spec: {
      parentRefs: [{ kind: "Service", name: "web", namespace: "a", port: 80 }, { name: "gateway" }],
    },
    status: { parents: all.map((conditions) => ({ parentRef, controllerName, conditions })) },
  };
}

describe("the columns of a route", () => {
  it("name its parents, and nothing that nobody has said", () => {
    const { header, cells } = routeColumns(route());
    assert.deepEqual(header, ["PARENTS", "ACCEPTED", "RESOLVEDREFS"]);
    assert.deepEqual(cells, ["Service/a/web:80,Gateway/gateway", "-", "-"]);
  });

  it("say whether all is well, or what is wrong at any parent", () => {
    assert.deepEqual(routeColumns(route(well)).cells.slice(1), ["yes", "yes"]);
    const cells = routeColumns(route(well, ill)).cells.slice(1);
    assert.deepEqual(cells, ["no: NoMatchingParent", "no: RefNotPermitted"]);
  });
});

describe("the columns of a BackendTLSPolicy", () => {
  it("name its targets", () => {
    const { cells } = backendTlsPolicyColumns({
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "BackendTLSPolicy",
      metadata: { name: "p", namespace: "shop" },
      spec: {
        targetRefs: [{ group: "", kind: "Service", name: "web" }],
        validation: { hostname: "web.example", wellKnownCACertificates: "System" },
      },
      status: { ancestors: [{ ancestorRef: parentRef, controllerName, conditions: well }] },
    });
    assert.deepEqual(cells, ["Service/web", "yes", "yes"]);
  });
});
