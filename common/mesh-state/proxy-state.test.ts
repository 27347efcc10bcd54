import assert from "node:assert/strict";
import { test } from "node:test";
import { ProxyState } from "./proxy-state.ts";
import { policiesMayDiffer, splitUpdate } from "./state-update.ts";
import { ip, pod, policy, ports, service, update } from "./test-records.ts";

function stateWith(fields: Parameters<typeof update>[0]): ProxyState {
  const state = new ProxyState({ network: "" });
  state.apply(update(fields));
  return state;
}

/** `service:<namespace>/<hostname>`, `workload:<name>` or "nothing". */
function at(state: ProxyState, address: string, clientNamespace?: string): string {
  const found = state.findAddress({
    network: "",
    ip: ip(address),
    ...(clientNamespace !== undefined && { clientNamespace }),
  });
  if (found === undefined) return "nothing";
  return found.kind === "service"
    ? `service:${found.service.namespace}/${found.service.hostname}`
    : `workload:${found.workload.name}`;
}

const inDb = { services: new Map([["shop/db", ports([80, 0])]]) };

test("a pod is found by each of its addresses, in its network only, until it goes", () => {
  const state = stateWith({ workloads: [pod("a", ["10.0.0.1", "fd00::1"])] });
  assert.equal(at(state, "10.0.0.1"), "workload:a");
  assert.equal(at(state, "fd00::1"), "workload:a");
  assert.equal(state.findAddress({ network: "other", ip: ip("10.0.0.1") }), undefined);
  state.apply(update({ workloads: [pod("a", ["10.0.0.2"])] }));
  assert.equal(at(state, "10.0.0.1"), "nothing");
  assert.equal(at(state, "10.0.0.2"), "workload:a");
  state.apply(update({ removed: ["Kubernetes//Pod/shop/a"] }));
  assert.equal(at(state, "10.0.0.2"), "nothing");
  assert.deepEqual(state.counts, { workloads: 0, services: 0, policies: 0 });
});

test("a host-network workload is not found by its node's address", () => {
  const state = stateWith({ workloads: [pod("a", ["10.0.0.1"], { networkMode: "host-network" })] });
  assert.equal(at(state, "10.0.0.1"), "nothing");
  assert.equal(state.findWorkloadByIp("", ip("10.0.0.1")), undefined);
  assert.equal(state.findWorkloadByUid("Kubernetes//Pod/shop/a")?.name, "a");
});

test("of two pods with one address the newest wins, and its removal restores the other", () => {
  const state = stateWith({ workloads: [pod("old", ["10.0.0.1"]), pod("new", ["10.0.0.1"])] });
  assert.equal(at(state, "10.0.0.1"), "workload:new");
  state.apply(update({ workloads: [pod("old", ["10.0.0.1"], { status: "unhealthy" })] }));
  assert.equal(at(state, "10.0.0.1"), "workload:new");
  state.apply(update({ removed: ["Kubernetes//Pod/shop/new"] }));
  assert.equal(at(state, "10.0.0.1"), "workload:old");
  assert.equal(state.findWorkloadByIp("", ip("10.0.0.1"))?.status, "unhealthy");
});

test("nobody takes over a pod's address by declaring an endpoint or a service at it", () => {
  const declared = pod("fake", ["10.0.0.1"], {
    uid: "c/networking.istio.io/ServiceEntry/evil/x/y",
  });
  const state = stateWith({
    workloads: [pod("a", ["10.0.0.1"]), declared],
    services: [
      service("trap", ["10.0.0.1"], { namespace: "evil" }),
      service("net", ["10.0.0.0/8"], { namespace: "evil" }),
    ],
  });
  assert.equal(at(state, "10.0.0.1", "shop"), "workload:a");
  assert.equal(at(state, "10.0.0.9", "shop"), "service:evil/net");
});

test("a VIP that is its endpoint's own address is the service: its waypoint and ports apply", () => {
  const state = stateWith({
    workloads: [pod("db", ["10.0.0.1"], inDb)],
    services: [service("db", ["10.0.0.1"])],
  });
  assert.equal(at(state, "10.0.0.1"), "service:shop/db");
});

test("of services with one VIP the client's namespace's is meant, else the canonical, else the first", () => {
  const state = stateWith({
    services: [
      service("h", ["10.1.0.1"], { namespace: "zoo" }),
      service("h", ["10.1.0.1"], { namespace: "bar" }),
      service("h", ["10.1.0.1"], { namespace: "mid", canonical: true }),
    ],
  });
  assert.equal(at(state, "10.1.0.1", "zoo"), "service:zoo/h");
  assert.equal(at(state, "10.1.0.1", "none"), "service:mid/h");
  assert.equal(state.findServiceByHostname("h", "bar")?.namespace, "bar");
  state.apply(update({ removed: ["mid/h"] }));
  assert.equal(at(state, "10.1.0.1", "none"), "service:bar/h");
});

test("the preferred namespace comes between the client's and the canonical service", () => {
  const state = new ProxyState({ network: "", preferredServiceNamespace: "pref" });
  const services = ["client", "pref", "canon"].map((namespace) =>
    service("h", [], { namespace, canonical: namespace === "canon" }),
  );
  state.apply(update({ services }));
  assert.equal(state.findServiceByHostname("h", "client")?.namespace, "client");
  assert.equal(state.findServiceByHostname("h", "none")?.namespace, "pref");
  state.apply(update({ removed: ["pref/h"] }));
  assert.equal(state.findServiceByHostname("h", "none")?.namespace, "canon");
});

test("a service of namespace visibility does not exist for other namespaces' clients", () => {
  const hidden = { namespace: "team", visibility: "namespace" } as const;
  const state = stateWith({
    services: [service("h", ["10.1.0.1", "10.2.0.0/16"], { ...hidden, canonical: true })],
  });
  for (const address of ["10.1.0.1", "10.2.3.4"]) {
    assert.equal(at(state, address, "shop"), "nothing");
    assert.equal(at(state, address, "team"), "service:team/h");
  }
  assert.equal(state.findServiceByHostname("h", "shop"), undefined);
});

test("an exact VIP beats a block, a longer prefix a shorter, the client's namespace both", () => {
  const state = stateWith({
    services: [
      service("exact", ["10.1.2.3"]),
      service("long", ["10.1.2.0/24"]),
      service("odd", ["10.1.2.128/25"]),
      service("short", ["10.0.0.0/8"]),
      service("own", ["10.1.0.0/16"], { namespace: "client" }),
      service("v6", ["fd00::/8"]),
    ],
  });
  assert.equal(at(state, "10.1.2.3", "client"), "service:shop/exact");
  assert.equal(at(state, "10.1.2.4"), "service:shop/long");
  assert.equal(at(state, "10.1.2.200"), "service:shop/odd");
  assert.equal(at(state, "10.9.9.9"), "service:shop/short");
  assert.equal(at(state, "10.1.2.4", "client"), "service:client/own");
  assert.equal(at(state, "fd12::1"), "service:shop/v6");
  assert.equal(at(state, "11.0.0.1"), "nothing");
  state.apply(update({ removed: ["shop/odd", "shop/long"] }));
  assert.equal(at(state, "10.1.2.200"), "service:client/own");
});

test("endpoints are known whichever of service and workload arrives first, and follow both", () => {
  const state = stateWith({ workloads: [pod("a", ["10.0.0.1"], inDb)] });
  const db = service("db", ["10.1.0.1"]);
  const names = () => [...state.endpointsOf(db).workloads.values()].map(({ name }) => name);
  state.apply(update({ services: [db], workloads: [pod("b", ["10.0.0.2"], inDb)] }));
  assert.deepEqual(names(), ["a", "b"]);
  state.apply(update({ workloads: [pod("a", ["10.0.0.1"])] }));
  assert.deepEqual(names(), ["b"]);
  state.apply(update({ removed: ["shop/db"] }));
  state.apply(update({ services: [db] }));
  assert.deepEqual(names(), ["b"]);
});

test("gateways resolve to what the control plane names, visible or not", () => {
  const state = stateWith({
    services: [service("waypoint", ["10.1.0.9"], { visibility: "namespace" })],
    workloads: [pod("w", ["10.0.0.9"]), pod("named", [], { hostname: "gw.example" })],
  });
  const named = (hostname: string) =>
    state.resolveGateway({
      kind: "hostname",
      name: { namespace: "shop", hostname },
      hboneMtlsPort: 15008,
    });
  assert.equal(named("waypoint")?.kind, "service");
  assert.equal(named("gw.example")?.kind, "workload");
  assert.equal(named("missing"), undefined);
  const address = { network: "", ip: ip("10.0.0.9") };
  assert.equal(
    state.resolveGateway({ kind: "address", address, hboneMtlsPort: 1 })?.kind,
    "workload",
  );
});

test("a workload's policies are the global ones, its namespace's and those it names; others are missing", () => {
  const a = pod("a", [], { authorizationPolicies: ["shop/named", "shop/late"] });
  const state = stateWith({
    workloads: [a],
    policies: [
      policy("everywhere", { namespace: "istio-system", scope: "global" }),
      policy("here"),
      policy("named", { scope: "workload-selector" }),
      policy("unnamed", { scope: "workload-selector" }),
      policy("there", { namespace: "other" }),
    ],
  });
  const before = state.policiesFor(a);
  assert.deepEqual(
    before.compiled.policies.map(({ key }) => key),
    ["istio-system/everywhere", "shop/here", "shop/named"],
  );
  assert.deepEqual(before.missing, ["shop/late"]);
  state.apply(update({ policies: [policy("late", { scope: "workload-selector" })] }));
  assert.deepEqual(state.policiesFor(a).missing, []);
  state.apply(update({ removedPolicies: ["shop/named"] }));
  assert.deepEqual(state.policiesFor(a).missing, ["shop/named"]);
});

test("compiled policies stay the same object until one that applies changes", () => {
  const a = pod("a", []);
  const twin = pod("twin", []);
  const state = stateWith({ workloads: [a, twin], policies: [policy("here")] });
  const { compiled } = state.policiesFor(a);
  assert.equal(state.policiesFor(twin).compiled, compiled);
  state.apply(update({ policies: [policy("there", { namespace: "other" })] }));
  assert.equal(state.policiesFor(a).compiled, compiled);
  assert.equal(state.policiesFor(twin).compiled, compiled);
  state.apply(update({ policies: [policy("here", { action: "deny" })] }));
  assert.notEqual(state.policiesFor(a).compiled, compiled);
});

test("a policy that changes its scope applies where it now belongs only", () => {
  const a = pod("a", []);
  const other = pod("o", [], { namespace: "other" });
  const state = stateWith({ workloads: [a, other], policies: [policy("p", { scope: "global" })] });
  assert.equal(state.policiesFor(other).compiled.policies.length, 1);
  const change = state.apply(update({ policies: [policy("p")] }));
  assert.equal(state.policiesFor(other).compiled.policies.length, 0);
  assert.equal(state.policiesFor(a).compiled.policies.length, 1);
  assert.ok(policiesMayDiffer(change, other), "it no longer applies there: that is a change");
});

test("a change says who is new, who is bound elsewhere now, and whose policies may differ", () => {
  const named = pod("named", ["10.0.0.2"], { authorizationPolicies: ["shop/p"] });
  const state = stateWith({ workloads: [pod("a", ["10.0.0.1"]), named] });
  const a = "Kubernetes//Pod/shop/a";
  const seen: number[] = [];
  const stop = state.onChange(({ workloads }) => void seen.push(workloads.size));
  const health = state.apply(
    update({ workloads: [pod("a", ["10.0.0.1"], { status: "unhealthy" })] }),
  );
  assert.deepEqual([[...health.workloads], [...health.rebound]], [[a], []]);
  const moved = state.apply(update({ workloads: [pod("a", ["10.0.0.7"])] }));
  assert.deepEqual([...moved.rebound], [a]);
  const account = pod("a", ["10.0.0.7"], { serviceAccount: "other" });
  assert.deepEqual([...state.apply(update({ workloads: [account] })).rebound], [a]);
  const policies = state.apply(
    update({ policies: [policy("p", { scope: "workload-selector" }), policy("q")] }),
  );
  assert.equal(policiesMayDiffer(policies, named), true);
  assert.equal(policiesMayDiffer(policies, pod("b", [], { namespace: "other" })), false);
  const gone = state.apply(update({ removed: [a, "no/such"] }));
  assert.deepEqual([[...gone.workloads], [...gone.rebound]], [[a], [a]]);
  stop();
  state.apply(update({ workloads: [account] }));
  assert.deepEqual(seen, [1, 1, 1, 0, 1]);
});

test("an update splits into bounded pieces that come to the same, policies first", () => {
  const whole = update({
    workloads: Array.from({ length: 25 }, (_, i) => pod(`p${i}`, [`10.0.0.${i}`], inDb)),
    services: [service("db", ["10.1.0.1"])],
    policies: [policy("a"), policy("b")],
    removed: ["x/y"],
  });
  const pieces = [...splitUpdate(whole, 10)];
  assert.deepEqual(
    pieces.map((piece) => [
      piece.policies.length,
      piece.removedAddresses.length,
      piece.addresses.length,
    ]),
    [
      [2, 0, 0],
      [0, 1, 0],
      [0, 0, 10],
      [0, 0, 10],
      [0, 0, 6],
    ],
  );
  const state = new ProxyState({ network: "" });
  for (const piece of pieces) state.apply(structuredClone(piece));
  assert.deepEqual(state.counts, { workloads: 25, services: 1, policies: 2 });
  assert.deepEqual([...splitUpdate(whole, 100)], [whole]);
});

test("ten thousand workloads of one service come and go", () => {
  const count = 10_000;
  const workloads = Array.from({ length: count }, (_, i) =>
    pod(`p${i}`, [`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`], inDb),
  );
  const state = stateWith({ workloads, services: [service("db", ["192.0.2.1"])] });
  assert.equal(at(state, "10.0.39.15"), "workload:p9999");
  for (const workload of workloads) state.apply(update({ removed: [workload.uid] }));
  assert.deepEqual(state.counts, { workloads: 0, services: 1, policies: 0 });
  assert.equal(state.endpointsOf(service("db", [])).workloads.size, 0);
});
