import assert from "node:assert/strict";
import { test } from "node:test";
import { affectedServices } from "./affected-services.ts";
import type { Affected, ServiceFacts } from "./contributions.ts";

const SERVICES = 10_000;
const WAYPOINTS = ["shop/waypoint", "blog/waypoint"];

const facts = (namespace: string, name: string): ServiceFacts => ({
  ...{ kind: "Service", namespace, name, hostname: `${name}.svc`, ports: [], labels: {} },
});

/** Two waypoints that are told of as many services, and how many of them were looked at. */
function told() {
  const services = new Map(
    WAYPOINTS.map((waypoint) => {
      const [namespace] = waypoint.split("/");
      const keys = Array.from({ length: SERVICES }, (_, i) => `${namespace}/s${i}.svc`);
      return [waypoint, new Set(keys)] as const;
    }),
  );
  const subject = {
    walked: 0,
    waypoints: () => services.keys(),
    of: (waypoint: string) => {
      subject.walked += SERVICES;
      return services.get(waypoint) ?? [];
    },
    tells: (waypoint: string, key: string) => services.get(waypoint)?.has(key) === true,
  };
  return subject;
}

const mesh = {
  serviceByRef: (_: string, namespace: string, name: string) => [facts(namespace, name)],
};

function affected(routes: Affected, targets: Affected, whole: readonly string[] = []) {
  const subject = told();
  const changed = { routes, targets };
  const pairs = affectedServices(subject, mesh, changed, (one) => whole.includes(one));
  return { pairs, walked: subject.walked };
}

test("a route or a policy of one service costs one service, however many there are", () => {
  const { pairs, walked } = affected(
    new Set(["shop/s7.svc", "shop/unknown.svc"]),
    new Set(["Service/blog/s9", "ServiceEntry/shop/s7", "Gateway/shop/other"]),
  );
  assert.deepEqual(pairs, [
    { waypoint: "shop/waypoint", key: "shop/s7.svc" },
    { waypoint: "blog/waypoint", key: "blog/s9.svc" },
  ]);
  assert.equal(walked, 0);
});

test("what is about a waypoint or a namespace is about all of its services", () => {
  assert.equal(affected("none", new Set(["x"]), ["blog/waypoint"]).pairs.length, SERVICES);
  assert.equal(affected("none", new Set(["Namespace//shop"])).pairs.length, SERVICES);
  assert.equal(affected("all", "none").pairs.length, 2 * SERVICES);
  assert.equal(affected("none", "all").pairs.length, 2 * SERVICES);
  assert.deepEqual(affected("none", "none").pairs, []);
});
