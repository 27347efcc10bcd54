import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import type { Service } from "#common/model/service.ts";
import type { Workload } from "#common/model/workload.ts";
import { loadLocalXds, parseLocalXds, workloadUidOf } from "./load-local-xds.ts";

const DEFAULTS = { trustDomain: "mesh.test" };
const parse = (text: string) => parseLocalXds(text, DEFAULTS);

const MESH = `
workloads:
- uid: c1//v1/Pod/shop/web-1
  name: web-1
  namespace: shop
  serviceAccount: web
  workloadIps: [10.0.0.1, "fd00::1"]
  protocol: HBONE
  node: n1
  network: ""
  status: Unhealthy
  waypoint: { destination: "/10.0.0.9", hboneMtlsPort: 15008 }
  services:
    shop/web.shop.svc.cluster.local: { 80: 8080, 443: 8443 }
- uid: outside
  namespace: shop
  workloadIps: [192.0.2.1]
  trustDomain: other.test
  networkMode: HostNetwork
  locality: { region: r, zone: z, subzone: s }
  capacity: 3
services:
- name: web
  namespace: shop
  hostname: web.shop.svc.cluster.local
  vips: [/10.9.0.1, far/10.9.0.2]
  cidrVips: [{ network: "", cidr: 10.8.0.0/16 }]
  ports: { 80: 8080 }
  endpoints:
    outside: { workloadUid: outside, port: { 80: 9090 }, status: Healthy }
  waypoint: { destination: shop/waypoint.shop.svc.cluster.local, hboneMtlsPort: 15008 }
  loadBalancer: { routingPreferences: [Zone, Node], mode: Failover, healthPolicy: AllowAll }
  ipFamilies: IPv4
  canonical: true
policies:
- name: p
  namespace: shop
  scope: Namespace
  action: Deny
  rules:
  - - - notPrincipals: [!Presence []]
        namespaces: [!Exact shop, !Prefix dev-, { Suffix: -test }]
        serviceAccounts: [{ namespace: shop, serviceAccount: web }]
      - sourceIps: [10.0.0.0/8]
        destinationPorts: [80]
    - - principals: [{ Presence: [] }]
  dryRun: false
`;

const workloads = (text: string) =>
  parse(text).addresses.flatMap((a): Workload[] => (a.kind === "workload" ? [a.workload] : []));
const services = (text: string) =>
  parse(text).addresses.flatMap((a): Service[] => (a.kind === "service" ? [a.service] : []));

test("a workload is read with its services, and what it leaves out has ztunnel's defaults", () => {
  const [web, outside] = workloads(MESH);
  assert.deepEqual(web?.addresses, ["10.0.0.1", "fd00::1"]);
  assert.equal(web?.tunnelProtocol, "hbone");
  assert.equal(web?.trustDomain, "mesh.test");
  assert.equal(web?.status, "unhealthy");
  assert.deepEqual(web?.waypoint, {
    kind: "address",
    address: { network: "", ip: "10.0.0.9" },
    hboneMtlsPort: 15008,
  });
  assert.deepEqual(web?.services.get("shop/web.shop.svc.cluster.local"), [
    { servicePort: 80, targetPort: 8080, appProtocol: "unknown" },
    { servicePort: 443, targetPort: 8443, appProtocol: "unknown" },
  ]);
  assert.equal(outside?.tunnelProtocol, "none");
  assert.equal(outside?.trustDomain, "other.test");
  assert.equal(outside?.networkMode, "host-network");
  assert.equal(outside?.capacity, 3);
});

test("a service is read with its addresses, and its own endpoints are its workloads'", () => {
  const [web] = services(MESH);
  assert.deepEqual(
    web?.addresses.map(({ network, ip, cidr }) => [network, ip, cidr?.length]),
    [
      ["", "10.9.0.1", undefined],
      ["far", "10.9.0.2", undefined],
      ["", "10.8.0.0", 16],
    ],
  );
  assert.deepEqual(web?.loadBalancing, {
    routingPreference: ["zone", "node"],
    mode: "failover",
    healthPolicy: "allow-all",
  });
  assert.equal(web?.waypoint?.kind, "hostname");
  assert.equal(web?.ipFamilies, "ipv4-only");
  const outside = workloads(MESH)[1];
  assert.equal(outside?.services.get("shop/web.shop.svc.cluster.local")?.[0]?.targetPort, 9090);
});

test("a policy keeps its rules, clauses and matches apart", () => {
  const [policy] = parse(MESH).policies;
  assert.equal(policy?.action, "deny");
  const clauses = policy?.rules[0]?.clauses ?? [];
  assert.deepEqual(
    clauses.map(({ matches }) => matches.length),
    [2, 1],
  );
  const [first, second] = clauses[0]?.matches ?? [];
  assert.deepEqual(first?.notPrincipals, [{ kind: "presence" }]);
  assert.deepEqual(first?.namespaces, [
    { kind: "exact", value: "shop" },
    { kind: "prefix", value: "dev-" },
    { kind: "suffix", value: "-test" },
  ]);
  assert.deepEqual(second?.destinationPorts, [80]);
});

test("an empty file is an empty mesh", () => {
  for (const text of ["", "{}", "workloads: []\npolicies: []\nservices: []"]) {
    assert.deepEqual(parse(text).addresses, []);
  }
});

test("a pod is known by its name and account under whatever uid the file gives it", () => {
  const info = { name: "web-1", namespace: "shop", serviceAccount: "web" };
  assert.equal(workloadUidOf(workloads(MESH), info), "c1//v1/Pod/shop/web-1");
  assert.equal(workloadUidOf(workloads(MESH), { ...info, serviceAccount: "x" }), undefined);
});

const POLICY = "{name: p, namespace: n, scope: Global, dryRun: false";
const WRONG: Readonly<Record<string, [text: string, why: RegExp]>> = {
  "a match that is not known": [
    `policies: [${POLICY}, action: Allow, rules: [[[{hosts: [a]}]]]}]`,
    /^policies\[0\]\.rules\[0\]\[0\]\[0\] has no field hosts/,
  ],
  "an action that is not known": [
    `policies: [${POLICY}, action: Audit, rules: []}]`,
    /policies\[0\]\.action takes Allow, Deny, not Audit/,
  ],
  "a string match that is not known": [
    `policies: [${POLICY}, action: Allow, rules: [[[{principals: [{Regex: a}]}]]]}]`,
    /Regex is none of Exact/,
  ],
  "a string match without its kind": [
    `policies: [${POLICY}, action: Allow, rules: [[[{principals: [a]}]]]}]`,
    /principals\[0\] takes a mapping/,
  ],
  "a protocol that is not known": [
    "workloads: [{uid: u, namespace: n, workloadIps: [], protocol: MTLS}]",
    /^workloads\[0\]\.protocol takes TCP, HBONE, not MTLS/,
  ],
  "a field that is not known": ["workloads: [{uid: u, namespaces: n}]", /has no field namespaces/],
  "an address that is none": [
    "workloads: [{uid: u, namespace: n, workloadIps: [10.0.0]}]",
    /\.workloadIps\[0\] takes an IP address/,
  ],
  "a port that is none": [
    "services: [{name: s, namespace: n, hostname: h, vips: [], ports: {80: 70000}}]",
    /ports\.80 takes a whole number from 0 to 65535/,
  ],
  "an endpoint that is no workload": [
    `services:
     - {name: s, namespace: n, hostname: h, vips: [], ports: {}, endpoints: {u: *u}}`.replace(
      "*u",
      "{workloadUid: u, port: {}}",
    ),
    /n\/h has endpoint u, which is no workload/,
  ],
  "a section that is not known": ["gateways: []", /the configuration has no field gateways/],
  "what is no YAML": ["a: [", /it is no YAML/],
  "a list in the place of a mapping": ["[]", /the configuration takes a mapping/],
  "an alias that grows": ["a: &a [1]\nb: [*a, *a]", /it is no YAML/],
  "a prototype's name": ["workloads: [{uid: u, namespace: n, protocol: constructor}]", /takes TCP/],
};
for (const [what, [text, message]] of Object.entries(WRONG)) {
  test(`${what} is refused by its place`, () => {
    assert.throws(() => parse(text), { code: "LOCAL_XDS_INVALID", message });
  });
}

test("a file that is missing or wrong is named", async () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "local-xds-"));
  const file = path.join(dir, "mesh.yaml");
  const load = () => loadLocalXds({ file }, DEFAULTS);
  const message = new RegExp(`LOCAL_XDS_PATH=${file}`);
  await assert.rejects(load, { code: "LOCAL_XDS_UNREADABLE", message });
  fs.writeFileSync(file, "workloads: 1");
  await assert.rejects(load, { code: "LOCAL_XDS_INVALID", message });
  fs.writeFileSync(file, MESH);
  assert.equal((await load()).policies.length, 1);
  fs.rmSync(dir, { recursive: true });
});
