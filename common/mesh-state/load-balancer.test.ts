import assert from "node:assert/strict";
import { test } from "node:test";
import type { LoadBalancing, Service } from "#common/model/service.ts";
import type { Workload } from "#common/model/workload.ts";
import { type SelectOptions, selectEndpoint } from "./load-balancer.ts";
import { ProxyState } from "./proxy-state.ts";
import { pod, ports, service, update } from "./test-records.ts";

const key = "shop/web";
const web = (fields: Partial<Service> = {}): Service => service("web", ["10.1.0.1"], fields);

function endpoint(name: string, fields: Partial<Workload> = {}, own = ports([80, 0])): Workload {
  const last = name.charCodeAt(0);
  return pod(name, [`10.0.0.${last}`, `fd00::${last}`], {
    services: new Map([[key, own]]),
    ...fields,
  });
}

function stateWith(target: Service, workloads: readonly Workload[]): ProxyState {
  const state = new ProxyState({ network: "" });
  state.apply(update({ services: [target], workloads }));
  return state;
}

/** How often each endpoint is chosen when `random` sweeps [0, 1) evenly. */
function shares(
  state: ProxyState,
  target: Service,
  options: Omit<SelectOptions, "random"> = {},
  port = 80,
): Record<string, number> {
  const counts: Record<string, number> = {};
  const steps = 60;
  for (let i = 0; i < steps; i++) {
    const chosen = selectEndpoint(state, target, port, { ...options, random: () => i / steps });
    const name = chosen?.workload.name ?? "none";
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

const first = (
  state: ProxyState,
  target: Service,
  options: Partial<SelectOptions> = {},
  port = 80,
) => selectEndpoint(state, target, port, { random: () => 0, ...options });

test("endpoints are chosen in proportion to their capacity, none without any", () => {
  const target = web();
  const even = stateWith(target, [endpoint("a"), endpoint("b"), endpoint("c")]);
  assert.deepEqual(shares(even, target), { a: 20, b: 20, c: 20 });
  const weighted = stateWith(target, [
    endpoint("a", { capacity: 3 }),
    endpoint("b", { capacity: 0 }),
    endpoint("c", { capacity: 2 }),
  ]);
  assert.deepEqual(shares(weighted, target), { a: 36, c: 24 });
  assert.deepEqual(shares(stateWith(target, []), target), { none: 60 });
});

test("the choice follows every change of the endpoints and of the service", () => {
  const target = web();
  const state = stateWith(target, [endpoint("a")]);
  assert.deepEqual(shares(state, target), { a: 60 });
  state.apply(update({ workloads: [endpoint("b")] }));
  assert.deepEqual(shares(state, target), { a: 30, b: 30 });
  state.apply(update({ workloads: [endpoint("a", { status: "unhealthy" })] }));
  assert.deepEqual(shares(state, target), { b: 60 });
  state.apply(update({ removed: ["Kubernetes//Pod/shop/b"] }));
  assert.deepEqual(shares(state, target), { none: 60 });
  const all = web({ loadBalancing: balancing("unspecified", [], "allow-all") });
  state.apply(update({ services: [all] }));
  assert.deepEqual(shares(state, all), { a: 60 });
});

test("the target port is the endpoint's own, else the service's; a named port nobody resolves is none", () => {
  const fixed = web();
  const named = web({ ports: ports([80, 0]) });
  const own = endpoint("a", {}, ports([80, 9090]));
  const silent = endpoint("b");
  assert.equal(first(stateWith(fixed, [own]), fixed)?.targetPort, 9090);
  assert.equal(first(stateWith(fixed, [silent]), fixed)?.targetPort, 8080);
  assert.equal(first(stateWith(named, [own]), named)?.targetPort, 9090);
  assert.deepEqual(shares(stateWith(named, [own, silent]), named), { a: 60 });
  assert.equal(first(stateWith(fixed, [own]), fixed, {}, 81), undefined);
});

test("an address of the wanted family is used where the endpoint has one", () => {
  const target = web();
  const both = stateWith(target, [endpoint("a")]);
  assert.equal(first(both, target, { family: "ipv6" })?.ip, "fd00::97");
  assert.equal(first(both, target, { family: "ipv4" })?.ip, "10.0.0.97");
  const single = stateWith(target, [
    pod("s", ["10.0.0.9"], { services: new Map([[key, ports()]]) }),
  ]);
  assert.equal(first(single, target, { family: "ipv6" })?.ip, "10.0.0.9");
});

test("endpoints that failed already are not chosen again", () => {
  const target = web();
  const state = stateWith(target, [
    endpoint("a", { capacity: 5 }),
    endpoint("b"),
    endpoint("c", { capacity: 3 }),
  ]);
  const uid = (name: string) => `Kubernetes//Pod/shop/${name}`;
  const withoutA = shares(state, target, { exclude: new Set([uid("a")]) });
  assert.equal(withoutA.a, undefined);
  assert.ok((withoutA.c ?? 0) > (withoutA.b ?? 0));
  assert.deepEqual(shares(state, target, { exclude: new Set(["a", "b", "c"].map(uid)) }), {
    none: 60,
  });
});

test("an endpoint of another network, or without an address, is out of reach", () => {
  const target = web();
  const state = stateWith(target, [
    endpoint("a"),
    endpoint("b", { network: "far" }),
    endpoint("c", { addresses: [] }),
  ]);
  assert.deepEqual(shares(state, target, { sourceWorkload: pod("s", []) }), { a: 60 });
  assert.deepEqual(shares(state, target, { sourceWorkload: pod("s", [], { network: "far" }) }), {
    b: 60,
  });
});

function balancing(
  mode: LoadBalancing["mode"],
  routingPreference: LoadBalancing["routingPreference"],
  healthPolicy: LoadBalancing["healthPolicy"] = "only-healthy",
): LoadBalancing {
  return { mode, routingPreference, healthPolicy };
}

const place = (region: string, zone: string, node: string, subzone = "") => ({
  locality: { region, zone, subzone },
  node,
});
const near = pod("s", [], place("eu", "eu-1", "n1"));
const spread = [
  endpoint("a", place("eu", "eu-1", "n1")),
  endpoint("b", place("eu", "eu-1", "n2")),
  endpoint("c", place("eu", "eu-2", "n3")),
  endpoint("d", place("us", "us-1", "n4")),
];

test("STRICT keeps to endpoints that match everything, and has none where none does", () => {
  const target = web({ loadBalancing: balancing("strict", ["node"]) });
  assert.deepEqual(shares(stateWith(target, spread), target, { sourceWorkload: near }), { a: 60 });
  const far = stateWith(target, spread.slice(1));
  assert.deepEqual(shares(far, target, { sourceWorkload: near }), { none: 60 });
});

test("FAILOVER takes the best rank that is healthy and falls back rank by rank", () => {
  const target = web({
    loadBalancing: balancing("failover", ["network", "region", "zone", "subzone", "node"]),
  });
  const state = stateWith(target, spread);
  const from = { sourceWorkload: near };
  assert.deepEqual(shares(state, target, from), { a: 60 });
  state.apply(update({ workloads: [endpoint("a", { ...spread[0], status: "unhealthy" })] }));
  assert.deepEqual(shares(state, target, from), { b: 60 });
  state.apply(update({ removed: ["Kubernetes//Pod/shop/b"] }));
  assert.deepEqual(shares(state, target, from), { c: 60 });
  state.apply(update({ removed: ["Kubernetes//Pod/shop/c"] }));
  assert.deepEqual(shares(state, target, from), { d: 60 });
});

test("the same service is balanced for each client by its own place", () => {
  const target = web({ loadBalancing: balancing("failover", ["region", "zone"]) });
  const state = stateWith(target, spread);
  const other = pod("t", [], place("us", "us-1", "n9"));
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(shares(state, target, { sourceWorkload: near }), { a: 30, b: 30 });
    assert.deepEqual(shares(state, target, { sourceWorkload: other }), { d: 60 });
  }
});

test("PASSTHROUGH selects nothing: the original address is dialled", () => {
  const target = web({ loadBalancing: balancing("passthrough", []) });
  assert.deepEqual(shares(stateWith(target, spread), target), { none: 60 });
});

test("a waypoint with an application tunnel needs no such port; any other endpoint does", () => {
  const target = web();
  const tunnel = { applicationTunnel: { protocol: "proxy", port: 15088 } } as const;
  const state = stateWith(target, [endpoint("a"), endpoint("b", tunnel)]);
  assert.deepEqual(shares(state, target, { waypoint: true }, 15008), { b: 60 });
  assert.deepEqual(shares(state, target, {}, 15008), { none: 60 });
});

test("the eligible endpoints are worked out once, not once per connection", () => {
  const target = web();
  const state = stateWith(target, []);
  let reads = 0;
  const counted = endpoint("a");
  Object.defineProperty(counted, "status", {
    get: () => {
      reads++;
      return "healthy";
    },
  });
  state.apply({ ...update({}), addresses: [{ kind: "workload", workload: counted }] });
  shares(state, target);
  assert.equal(reads, 1);
});
