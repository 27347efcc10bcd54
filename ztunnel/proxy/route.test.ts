import assert from "node:assert/strict";
import { test } from "node:test";
import { ProxyState } from "#common/mesh-state/proxy-state.ts";
import type { GatewayAddress } from "#common/model/address.ts";
import type { IpAddress } from "#common/model/ip.ts";
import type { MeshAddress } from "#common/model/mesh-address.ts";
import { BLACK_HOLE, type Service } from "#common/model/service.ts";
import type { Workload } from "#common/model/workload.ts";
import { chooseRoute, type HboneRoute, type Route, type UnresolvedRoute } from "./route.ts";

const ip = (text: string): IpAddress => text as IpAddress;
const WEB = "shop/web.shop.svc.cluster.local";
const PORT = { servicePort: 80, targetPort: 8080, appProtocol: "unknown" } as const;

function workload(name: string, address: string, fields: Partial<Workload> = {}): Workload {
  return {
    uid: `Kubernetes//Pod/shop/${name}`,
    name,
    namespace: "shop",
    addresses: [ip(address)],
    hostname: "",
    network: "",
    tunnelProtocol: "hbone",
    trustDomain: "cluster.local",
    serviceAccount: name,
    node: "node1",
    canonicalName: name,
    canonicalRevision: "latest",
    workloadType: "pod",
    workloadName: name,
    nativeTunnel: false,
    services: new Map(),
    authorizationPolicies: [],
    status: "healthy",
    clusterId: "Kubernetes",
    locality: { region: "", zone: "", subzone: "" },
    networkMode: "standard",
    capacity: 1,
    ...fields,
  };
}

function service(fields: Partial<Service> = {}): Service {
  return {
    name: "web",
    namespace: "shop",
    hostname: "web.shop.svc.cluster.local",
    addresses: [{ network: "", ip: ip("10.96.0.10") }],
    ports: [PORT],
    subjectAltNames: [],
    weightedWaypoints: [],
    ipFamilies: "automatic",
    canonical: false,
    ingressUseWaypoint: false,
    visibility: "public",
    ...fields,
  };
}

const CLIENT = workload("client", "10.0.0.1");
const ENDPOINT = workload("web-0", "10.0.0.2", { services: new Map([[WEB, [PORT]]]) });
const WAYPOINT = workload("waypoint", "10.0.0.9");
const GATEWAY: GatewayAddress = {
  kind: "address",
  address: { network: "", ip: ip("10.0.0.9") },
  hboneMtlsPort: 15008,
};

function route(
  known: readonly (Workload | Service)[],
  destination: string,
  options: {
    source?: Workload;
    exclude?: string[];
    random?: number;
    hosts?: Readonly<Record<string, readonly IpAddress[]>>;
  } = {},
) {
  const state = new ProxyState({ network: "" });
  const addresses = known.map(
    (item): MeshAddress =>
      "uid" in item ? { kind: "workload", workload: item } : { kind: "service", service: item },
  );
  state.apply({ addresses, removedAddresses: [], policies: [], removedPolicies: [] });
  const colon = destination.lastIndexOf(":");
  return chooseRoute({
    state,
    source: options.source ?? CLIENT,
    original: { ip: ip(destination.slice(0, colon)), port: Number(destination.slice(colon + 1)) },
    exclude: new Set(options.exclude),
    random: () => options.random ?? 0,
    addressesOf: (hostname) => options.hosts?.[hostname],
  });
}

function hbone(found: ReturnType<typeof route>): HboneRoute {
  assert.ok("kind" in found && found.kind === "hbone", JSON.stringify(found));
  return found;
}

function reason(found: ReturnType<typeof route>): string {
  return "reason" in found ? found.reason : (found satisfies Route | UnresolvedRoute).kind;
}

test("an endpoint that has a name waits for its address, of the family asked for", () => {
  const services = new Map([[WEB, [PORT]]]);
  const named = workload("far", "", { addresses: [], hostname: "far.example", services });
  const plain: Workload = { ...named, tunnelProtocol: "none" };
  const waiting = route([service(), plain], "10.96.0.10:80");
  assert.deepEqual(waiting, { kind: "unresolved", workload: plain });
  const hosts = { "far.example": [ip("fd00::7"), ip("192.0.2.7")] };
  const found = route([service(), plain], "10.96.0.10:80", { hosts });
  assert.ok("kind" in found && found.kind === "tcp");
  assert.deepEqual(found.address, { ip: "192.0.2.7", port: 8080 });
  assert.equal(
    hbone(route([service(), named], "10.96.0.10:80", { hosts })).authority,
    "192.0.2.7:8080",
  );
});

test("an endpoint whose name leads nowhere is passed over for another one", () => {
  const services = new Map([[WEB, [PORT]]]);
  const named = workload("far", "", { addresses: [], hostname: "far.example", services });
  const exclude = [named.uid];
  const found = hbone(route([service(), named, ENDPOINT], "10.96.0.10:80", { exclude }));
  assert.equal(found.destination, ENDPOINT);
  assert.equal(
    reason(route([service(), named], "10.96.0.10:80", { exclude })),
    "no-healthy-upstream",
  );
});

test("our own ports on loopback are refused, loopback's other ports are not", () => {
  for (const port of [15001, 15006, 15008]) {
    assert.equal(reason(route([CLIENT], `127.0.0.1:${port}`)), "recursive-call");
    assert.equal(reason(route([CLIENT], `::1:${port}`)), "recursive-call");
  }
  assert.equal(reason(route([CLIENT], "127.0.0.1:8080")), "tcp");
});

test("an address that nobody has is dialled as it is", () => {
  assert.deepEqual(route([CLIENT], "192.0.2.1:443"), {
    kind: "tcp",
    address: { ip: "192.0.2.1", port: 443 },
    service: undefined,
    destination: undefined,
  });
});

test("an address that nobody has is refused where that is what nobody's addresses are for", () => {
  const everywhere = { bytes: new Uint8Array(4), length: 0 };
  const addresses = [{ network: "", ip: ip("0.0.0.0"), cidr: everywhere }];
  const blackHole = service({ name: BLACK_HOLE, hostname: BLACK_HOLE, addresses });
  const known = [service(), ENDPOINT, blackHole];
  assert.equal(reason(route(known, "203.0.113.7:443")), "registry-only");
  assert.equal(hbone(route(known, "10.96.0.10:80")).destination, ENDPOINT);
  assert.equal(hbone(route(known, "10.0.0.2:8080")).destination, ENDPOINT);
});

test("a service's address leads to an endpoint's own port, over HBONE", () => {
  const found = hbone(route([CLIENT, service(), ENDPOINT], "10.96.0.10:80"));
  assert.deepEqual(found.address, { ip: "10.0.0.2", port: 15008 });
  assert.equal(found.authority, "10.0.0.2:8080");
  assert.deepEqual(found.identities, ["spiffe://cluster.local/ns/shop/sa/web-0"]);
});

test("names of the service's own are accepted of the server, too", () => {
  const named = service({ subjectAltNames: ["spiffe://cluster.local/ns/shop/sa/all"] });
  const found = hbone(route([CLIENT, named, ENDPOINT], "10.96.0.10:80"));
  assert.deepEqual(found.identities, [
    "spiffe://cluster.local/ns/shop/sa/all",
    "spiffe://cluster.local/ns/shop/sa/web-0",
  ]);
});

test("an endpoint that failed is not chosen again; without another there is no upstream", () => {
  const known = [CLIENT, service(), ENDPOINT];
  const found = route(known, "10.96.0.10:80", { exclude: [ENDPOINT.uid] });
  assert.equal(reason(found), "no-healthy-upstream");
});

test("a service without endpoints is an error, unless it passes through", () => {
  assert.equal(reason(route([CLIENT, service()], "10.96.0.10:80")), "no-healthy-upstream");
  const passthrough = service({
    loadBalancing: { routingPreference: [], mode: "passthrough", healthPolicy: "only-healthy" },
  });
  assert.equal(reason(route([CLIENT, passthrough], "10.96.0.10:80")), "tcp");
});

test("a workload's own address leads to the port that was asked for", () => {
  const found = hbone(route([CLIENT, ENDPOINT], "10.0.0.2:9090"));
  assert.equal(found.authority, "10.0.0.2:9090");
  assert.equal(found.service, undefined);
});

test("a workload that does not speak HBONE is dialled in plain", () => {
  const plain = { ...ENDPOINT, tunnelProtocol: "none" } as const;
  assert.equal(reason(route([CLIENT, plain], "10.0.0.2:9090")), "tcp");
});

test("a service's waypoint gets the address that the client asked for", () => {
  const bound = service({ waypoint: GATEWAY });
  const found = hbone(route([CLIENT, bound, ENDPOINT, WAYPOINT], "10.96.0.10:80"));
  assert.deepEqual(found.address, { ip: "10.0.0.9", port: 15008 });
  assert.equal(found.authority, "10.96.0.10:80");
  assert.deepEqual(found.identities, ["spiffe://cluster.local/ns/shop/sa/waypoint"]);
  assert.equal(found.destination, undefined);
});

test("a waypoint that is not there is an error, never a way around it", () => {
  const bound = service({ waypoint: GATEWAY });
  assert.equal(reason(route([CLIENT, bound, ENDPOINT], "10.96.0.10:80")), "unknown-waypoint");
});

test("weights decide between waypoints", () => {
  const canary = workload("canary", "10.0.0.8");
  const address = { network: "", ip: ip("10.0.0.8") };
  const bound = service({
    waypoint: GATEWAY,
    weightedWaypoints: [
      { destination: GATEWAY, weight: 90 },
      { destination: { ...GATEWAY, kind: "address", address }, weight: 10 },
    ],
  });
  const known = [CLIENT, bound, ENDPOINT, WAYPOINT, canary];
  assert.equal(hbone(route(known, "10.96.0.10:80", { random: 0.89 })).address.ip, "10.0.0.9");
  assert.equal(hbone(route(known, "10.96.0.10:80", { random: 0.91 })).address.ip, "10.0.0.8");
});

test("a workload's waypoint is used by everybody but itself", () => {
  const bound = { ...ENDPOINT, waypoint: GATEWAY };
  const known = [CLIENT, bound, WAYPOINT];
  assert.equal(hbone(route(known, "10.0.0.2:80")).address.ip, "10.0.0.9");
  assert.equal(hbone(route(known, "10.0.0.2:80", { source: WAYPOINT })).address.ip, "10.0.0.2");
});

test("another network is refused out loud", () => {
  const far = { ...ENDPOINT, network: "net2", services: new Map() };
  const found = route([CLIENT, far], "10.0.0.2:80", { source: CLIENT });
  // Its address means nothing in our network: it is not even found there.
  assert.equal(reason(found), "tcp");
  assert.equal(reason(route([CLIENT, service(), far], "10.96.0.10:80")), "no-healthy-upstream");
});
