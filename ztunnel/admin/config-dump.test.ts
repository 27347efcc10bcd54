import assert from "node:assert/strict";
import { test } from "node:test";
import { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { ip, pod, policy, ports, service, update } from "#common/mesh-state/test-records.ts";
import { EMPTY_MATCH } from "#common/model/authorization.ts";
import { parseCidr } from "#common/model/ip.ts";
import { makeServerIdentity } from "#common/xds/delta-test-server.ts";
import { assertIstioctlReads } from "#test/support/istioctl-dump.ts";
import { type ConfigDumpSource, writeConfigDump } from "./config-dump.ts";

async function dump(source: Partial<ConfigDumpSource>): Promise<Record<string, unknown>> {
  const chunks: string[] = [];
  const whole = {
    state: new ProxyState({ network: "" }),
    certificates: [],
    pods: [],
    version: {},
    config: {},
    ...source,
  };
  for await (const chunk of writeConfigDump(whole)) chunks.push(chunk);
  const dumped = JSON.parse(chunks.join(""));
  assertIstioctlReads(dumped);
  return dumped;
}

const gateway = {
  kind: "hostname",
  name: { namespace: "shop", hostname: "waypoint" },
  hboneMtlsPort: 15008,
} as const;

// The shapes below are what istio/ztunnel's serde makes of the same records, and what
// istioctl/pkg/writer/ztunnel/configdump/api.go unmarshals.

test("a workload is dumped as istioctl reads it", async () => {
  const state = new ProxyState({ network: "" });
  const workload = pod("a", ["10.0.0.1", "fd00::1"], {
    services: new Map([["shop/web", ports([80, 8080])]]),
    authorizationPolicies: ["shop/p"],
    locality: { region: "eu", zone: "eu-1", subzone: "" },
    network: "n1",
    waypoint: gateway,
    networkGateway: {
      kind: "address",
      address: { network: "n2", ip: ip("192.0.2.1") },
      hboneMtlsPort: 15008,
    },
    applicationTunnel: { protocol: "proxy", port: 15088 },
  });
  state.apply(update({ workloads: [workload] }));
  const { workloads } = await dump({ state });
  assert.deepEqual(workloads, [
    {
      workloadIps: ["10.0.0.1", "fd00::1"],
      waypoint: { destination: "shop/waypoint", hboneMtlsPort: 15008 },
      networkGateway: { destination: "n2/192.0.2.1", hboneMtlsPort: 15008 },
      protocol: "HBONE",
      networkMode: "Standard",
      uid: "Kubernetes//Pod/shop/a",
      name: "a",
      namespace: "shop",
      trustDomain: "cluster.local",
      serviceAccount: "default",
      network: "n1",
      workloadName: "a",
      workloadType: "deployment",
      canonicalName: "a",
      canonicalRevision: "latest",
      node: "node-1",
      applicationTunnel: { protocol: "PROXY", port: 15088 },
      authorizationPolicies: ["shop/p"],
      status: "Healthy",
      clusterId: "Kubernetes",
      locality: { region: "eu", zone: "eu-1", subzone: "" },
      services: ["shop/web"],
      capacity: 1,
    },
  ]);
});

test("a service is dumped with its endpoints and their ports", async () => {
  const state = new ProxyState({ network: "" });
  const target = service("web", ["10.1.0.1", "10.2.0.0/16"], {
    waypoint: gateway,
    ipFamilies: "dual",
    weightedWaypoints: [{ destination: gateway, weight: 7 }],
    loadBalancing: {
      mode: "failover",
      routingPreference: ["network", "zone"],
      healthPolicy: "only-healthy",
    },
  });
  const endpoint = pod("a", ["10.0.0.1"], {
    services: new Map([["shop/web", ports([80, 9090])]]),
    status: "unhealthy",
  });
  state.apply(update({ services: [target], workloads: [endpoint] }));
  const { services } = await dump({ state });
  const destination = { destination: "shop/waypoint", hboneMtlsPort: 15008 };
  assert.deepEqual(services, [
    {
      name: "web",
      namespace: "shop",
      hostname: "web",
      vips: ["/10.1.0.1"],
      cidrVips: [{ network: "", cidr: "10.2.0.0/16" }],
      ports: { "80": 8080 },
      endpoints: {
        "Kubernetes//Pod/shop/a": {
          workloadUid: "Kubernetes//Pod/shop/a",
          port: { "80": 9090 },
          status: "Unhealthy",
        },
      },
      subjectAltNames: [],
      waypoint: destination,
      weightedWaypoints: [{ destination, weight: 7 }],
      loadBalancer: {
        routingPreferences: ["Network", "Zone"],
        mode: "Failover",
        healthPolicy: "OnlyHealthy",
      },
      ipFamilies: "Dual",
      canonical: false,
      visibility: "Public",
    },
  ]);
});

test("a service of a stock istiod that only publishes unready endpoints is Standard", async () => {
  // What istiod 1.31 sends for publishNotReadyAddresses, and what Istio's ztunnel makes of it.
  const routing = {
    routingPreference: [],
    mode: "unspecified",
    healthPolicy: "allow-all",
  } as const;
  const state = new ProxyState({ network: "" });
  state.apply(update({ services: [service("headless", [], { loadBalancing: routing })] }));
  const { services } = await dump({ state });
  const dumped = services as readonly { readonly loadBalancer: object }[];
  const asIstio = { routingPreferences: [], mode: "Standard", healthPolicy: "AllowAll" };
  assert.deepEqual(
    dumped.map(({ loadBalancer }) => loadBalancer),
    [asIstio],
  );
});

test("a policy is dumped as rules of clauses of matches, empty fields left out", async () => {
  const state = new ProxyState({ network: "" });
  const block = parseCidr("10.0.0.0/8");
  assert.ok(block !== undefined);
  const match = {
    ...EMPTY_MATCH,
    principals: [{ kind: "prefix", value: "cluster.local/ns/web/" } as const],
    notPrincipals: [{ kind: "presence" } as const],
    serviceAccounts: [{ namespace: "web", serviceAccount: "front" }],
    sourceIps: [block],
    destinationPorts: [80],
  };
  const rules = [{ clauses: [{ matches: [match, EMPTY_MATCH] }] }];
  const named = policy("p", { scope: "workload-selector", action: "deny", rules });
  state.apply(update({ policies: [named] }));
  const { policies } = await dump({ state });
  assert.deepEqual(policies, [
    {
      name: "p",
      namespace: "shop",
      scope: "WorkloadSelector",
      action: "Deny",
      rules: [
        [
          [
            {
              principals: [{ Prefix: "cluster.local/ns/web/" }],
              notPrincipals: [{ Presence: [] }],
              serviceAccounts: [{ namespace: "web", serviceAccount: "front" }],
              sourceIps: ["10.0.0.0/8"],
              destinationPorts: [80],
            },
            {},
          ],
        ],
      ],
      dryRun: false,
    },
  ]);
});

test("a certificate is dumped with serial number, validity and its PEM in base64", async () => {
  const { certificatePem, rootPem } = makeServerIdentity("a.test");
  const { certificates } = await dump({
    certificates: [
      {
        identity: "spiffe://cluster.local/ns/shop/sa/default",
        state: "Available",
        certChainPem: certificatePem,
        rootsPem: `${rootPem}${rootPem}`,
      },
    ],
  });
  const [dumped] = certificates as {
    identity: string;
    state: string;
    certChain: Record<string, string>[];
    rootCerts: Record<string, string>[];
  }[];
  assert.equal(dumped?.identity, "spiffe://cluster.local/ns/shop/sa/default");
  assert.equal(dumped.rootCerts.length, 2);
  const [leaf] = dumped.certChain;
  assert.match(leaf?.serialNumber ?? "", /^\d+$/);
  assert.match(leaf?.validFrom ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.match(leaf?.expirationTime ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.equal(Buffer.from(leaf?.pem ?? "", "base64").toString(), certificatePem);
});

test("header values of the configuration stay secret", async () => {
  const { config } = await dump({ config: { xds: { headers: { authorization: "secret" } } } });
  assert.deepEqual(config, { xds: { headers: ["authorization"] } });
});

test("lists are ordered by key, and a big dump comes in many pieces with turns of the event loop", async () => {
  const state = new ProxyState({ network: "" });
  const count = 2_000;
  const workloads = Array.from({ length: count }, (_, i) => pod(`p${count - i}`, []));
  state.apply(update({ workloads }));
  let turns = 0;
  const ticking = setInterval(() => turns++, 0);
  const chunks: string[] = [];
  const source = { state, certificates: [], pods: [], version: {}, config: {} };
  for await (const chunk of writeConfigDump(source)) chunks.push(chunk);
  clearInterval(ticking);
  const uids = JSON.parse(chunks.join("")).workloads.map(({ uid }: { uid: string }) => uid);
  assert.equal(uids.length, count);
  assert.deepEqual(uids, [...uids].sort());
  assert.ok(chunks.length > 10);
  assert.ok(turns > 0);
});
