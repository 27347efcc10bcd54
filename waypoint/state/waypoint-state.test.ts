import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ip } from "#common/mesh-state/test-records.ts";
import type { BackendConfig } from "#common/model/waypoint/backend.ts";
import { type WaypointResource, waypointResourceName } from "#common/model/waypoint/resource.ts";
import { PLAIN_GATEWAY, plainService } from "../waypoint-fixture.ts";
import { WaypointState } from "./waypoint-state.ts";
import { WaypointStore } from "./waypoint-store.ts";

const nameOf = (value: WaypointResource): string => waypointResourceName("shop/waypoint", value);
const named = (...values: readonly WaypointResource[]) =>
  values.map((value) => ({ name: nameOf(value), value }));

function stateOf(...values: readonly WaypointResource[]): WaypointState {
  return WaypointState.EMPTY.with({ upserts: named(...values), removed: [] });
}

const WEB = plainService("web", "10.96.0.1");
const BACKEND: BackendConfig = {
  kind: "backend",
  namespace: "shop",
  hostname: WEB.hostname,
  serviceName: "web",
  policy: {},
  portPolicies: {},
  subsets: {},
};

describe("what a waypoint was told", () => {
  test("is found by address, name and key", () => {
    const state = stateOf(PLAIN_GATEWAY, WEB, BACKEND);
    assert.equal(state.gateway, PLAIN_GATEWAY);
    assert.equal(state.serviceAt(ip("10.96.0.1"), "shop"), WEB);
    assert.equal(state.serviceNamed("WEB.shop.svc.cluster.local", "shop"), WEB);
    assert.equal(state.backend("shop", WEB.hostname), BACKEND);
    assert.equal(state.serviceAt(ip("10.96.0.2"), "shop"), undefined);
    assert.equal(state.serviceNamed("web", "shop"), undefined);
    assert.equal(state.backend("other", WEB.hostname), undefined);
  });

  test("is told apart by its longest block, and by the longest wildcard", () => {
    const wide = plainService("wide", "10.0.0.0/8", { hostname: "*.example.com" });
    const narrow = plainService("narrow", "10.1.0.0/16", { hostname: "*.api.example.com" });
    const state = stateOf(wide, narrow, WEB);
    assert.equal(state.serviceAt(ip("10.1.2.3"), "shop"), narrow);
    assert.equal(state.serviceAt(ip("10.2.2.3"), "shop"), wide);
    assert.equal(state.serviceAt(ip("10.96.0.1"), "shop"), WEB);
    assert.equal(state.serviceNamed("v1.api.example.com", "shop"), narrow);
    assert.equal(state.serviceNamed("a.b.example.com", "shop"), wide);
    assert.equal(state.serviceNamed("api.example.com", "shop"), wide);
    assert.equal(state.serviceNamed("example.com", "shop"), undefined);
  });

  test("is the client's own namespace's where several have one address, else the first by key", () => {
    const fields = { hostname: "db.example.com" };
    const a = plainService("db", "240.0.0.1", { ...fields, namespace: "a" });
    const b = plainService("db", "240.0.0.1", { ...fields, namespace: "b" });
    const state = stateOf(b, a);
    assert.equal(state.serviceAt(ip("240.0.0.1"), "b"), b);
    assert.equal(state.serviceAt(ip("240.0.0.1"), "c"), a);
    assert.equal(state.serviceNamed("db.example.com", "b"), b);
  });

  test("changes only by what a change names, and older states stay as they were", () => {
    const before = stateOf(PLAIN_GATEWAY, WEB, BACKEND);
    const moved = plainService("web", "10.96.0.9");
    const after = before.with({ upserts: named(moved), removed: [nameOf(BACKEND), "unknown"] });
    assert.equal(after.serviceAt(ip("10.96.0.1"), "shop"), undefined);
    assert.equal(after.serviceAt(ip("10.96.0.9"), "shop"), moved);
    assert.equal(after.backend("shop", WEB.hostname), undefined);
    assert.equal(after.gateway, PLAIN_GATEWAY);
    assert.equal(before.serviceAt(ip("10.96.0.1"), "shop"), WEB);
    assert.deepEqual([...after.services()], [moved]);
    const none = after.with({ upserts: [], removed: [nameOf(PLAIN_GATEWAY), nameOf(moved)] });
    assert.equal(none.gateway, undefined);
    assert.deepEqual([...none.services()], []);
    assert.equal(none.serviceAt(ip("10.96.0.9"), "shop"), undefined);
  });
});

test("changes come into force in their order, each when it has been prepared", async () => {
  const releases: (() => void)[] = [];
  const store = new WaypointStore(() => new Promise((resolve) => void releases.push(resolve)));
  const seen: (string | undefined)[] = [];
  store.onChange((state) => seen.push([...state.services()][0]?.addresses[0]));
  store.apply({ upserts: named(WEB), removed: [] });
  store.apply({ upserts: named(plainService("web", "10.96.0.2")), removed: [] });
  await turn();
  assert.deepEqual(seen, []);
  assert.equal(releases.length, 1);
  releases[0]?.();
  await turn();
  assert.deepEqual(seen, ["10.96.0.1"]);
  const applied = store.whenApplied();
  releases[1]?.();
  await applied;
  assert.deepEqual(seen, ["10.96.0.1", "10.96.0.2"]);
});

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
