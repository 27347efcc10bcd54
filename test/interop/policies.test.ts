/**
 * The same policies, the same answers: at a stock ztunnel and at ours, for callers of either, and
 * for callers outside the mesh.
 */
import { after, before, describe, test } from "node:test";
import { type Call, CLIENTS, NODE_BLOCKS, PORTS, PolicyMesh } from "#test/support/policy-mesh.ts";
import {
  allow,
  authorizationPolicy,
  deny,
  peerAuthentication,
  rule,
} from "#test/support/policy-objects.ts";
import { fabrics } from "./fabrics.ts";

interface Row {
  readonly title: string;
  readonly policies: readonly object[];
  readonly allowed: (call: Call) => boolean;
}

const MESH = { name: "default", namespace: "istio-system" };
const FRONTEND = "cluster.local/ns/web/sa/frontend";
const isDb = ({ server }: Call) => server === "db";
const inShop = ({ server }: Call) => server !== "staging";
const inMesh = ({ client }: Call) => client !== "outsider";
const isFrontend = ({ client }: Call) => client === "frontend";
const onNode1 = ({ client }: Call) => client === "frontend" || client === "outsider";

const DRY_RUN = { annotations: { "istio.io/dry-run": "true" } };

function audit(name: string, matchLabels?: Readonly<Record<string, string>>): object {
  const options = { name, ...(matchLabels && { matchLabels }) };
  return authorizationPolicy({ action: "AUDIT", rules: [{}] }, options);
}

const ROWS: readonly Row[] = [
  { title: "no policy", policies: [], allowed: () => true },
  { title: "STRICT for the mesh", policies: [peerAuthentication("STRICT", MESH)], allowed: inMesh },
  {
    title: "STRICT for a namespace",
    policies: [peerAuthentication("STRICT", { name: "default" })],
    allowed: (call) => inMesh(call) || !inShop(call),
  },
  {
    title: "STRICT for one port of a workload",
    policies: [
      peerAuthentication("PERMISSIVE", {
        name: "db",
        matchLabels: { app: "db" },
        ports: { [PORTS.admin]: "STRICT" },
      }),
    ],
    allowed: (call) => inMesh(call) || !isDb(call) || call.port !== PORTS.admin,
  },
  {
    title: "ALLOW by principal",
    policies: [allow([rule({ source: { principals: [FRONTEND] } })])],
    allowed: (call) => !inShop(call) || isFrontend(call),
  },
  {
    title: "ALLOW by namespace",
    policies: [allow([rule({ source: { namespaces: ["web"] } })])],
    allowed: (call) => !inShop(call) || call.client === "frontend" || call.client === "batch",
  },
  {
    title: "ALLOW nothing",
    policies: [allow([])],
    allowed: (call) => !inShop(call),
  },
  {
    title: "ALLOW by address",
    policies: [allow([rule({ source: { ipBlocks: Object.values(NODE_BLOCKS.node1) } })])],
    allowed: (call) => !inShop(call) || onNode1(call),
  },
  {
    title: "DENY by principal",
    policies: [deny([rule({ source: { principals: [FRONTEND] } })])],
    allowed: (call) => !inShop(call) || !isFrontend(call),
  },
  {
    title: "DENY of whoever has no identity",
    policies: [deny([rule({ source: { notPrincipals: ["*"] } })])],
    allowed: (call) => !inShop(call) || inMesh(call),
  },
  {
    title: "DENY by port of one workload",
    policies: [
      deny([rule({ operation: { ports: [String(PORTS.http)] } })], { matchLabels: { app: "db" } }),
    ],
    allowed: (call) => !isDb(call) || call.port !== PORTS.http,
  },
  {
    title: "DENY before ALLOW",
    policies: [
      allow([rule({ source: { namespaces: ["web"] } })], { name: "a" }),
      deny([rule({ source: { principals: [FRONTEND] } })], { name: "d" }),
    ],
    allowed: (call) => !inShop(call) || call.client === "batch",
  },
  {
    title: "a dry run of DENY, and of ALLOW",
    policies: [deny([{}], { name: "d", ...DRY_RUN }), allow([], { name: "a", ...DRY_RUN })],
    allowed: () => true,
  },
  {
    title: "AUDIT of everything, for all workloads and by a selector",
    policies: [audit("all"), audit("db", { app: "db" })],
    allowed: () => true,
  },
  {
    title: "AUDIT beside an ALLOW",
    policies: [audit("all"), allow([rule({ source: { principals: [FRONTEND] } })])],
    allowed: (call) => !inShop(call) || isFrontend(call),
  },
];

for (const { title: fabric, stockZtunnel } of fabrics()) {
  describe(`with ${fabric}`, () => {
    let mesh: PolicyMesh;
    before(async () => {
      mesh = await PolicyMesh.start({ stockZtunnel });
    });
    after(async () => {
      await mesh?.[Symbol.asyncDispose]();
    });

    for (const { title, policies, allowed } of ROWS) {
      test(`${title} means the same for all ${Object.keys(CLIENTS).length} clients`, async () => {
        await mesh.enforce(...policies);
        await mesh.assertAllowed(allowed);
      });
    }
  });
}
