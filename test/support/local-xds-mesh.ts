/** A mesh whose ztunnels have their state from one local file, and what then has to hold. */
import assert from "node:assert/strict";
import { waitForRecord } from "#test/support/access-log.ts";
import { CLIENT, InpodMesh, WEB } from "#test/support/inpod-mesh.ts";
import type { Scenario } from "#test/support/inpod-scenarios.ts";
import { SPIFFE } from "#test/support/objects.ts";
import { configDump } from "#test/support/ztunnel-view.ts";

const PODS = [
  { ...CLIENT, address: "10.244.1.70" },
  { ...CLIENT, name: "other", address: "10.244.1.71" },
  { ...WEB, address: "10.244.2.70" },
];
const HOSTNAME = "web.shop.svc.cluster.local";
const SERVICE = { ip: "10.96.77.77", port: 80 };

/** In the YAML of Istio's ztunnel; the uids are the file's own. */
export const LOCAL_XDS = `
workloads:
${PODS.map(workloadYaml).join("")}
services:
- name: web
  namespace: shop
  hostname: ${HOSTNAME}
  vips: ["/${SERVICE.ip}"]
  ports: { ${SERVICE.port}: 8080 }
policies:
- name: no-other
  namespace: shop
  scope: Namespace
  action: Deny
  rules: [[[{ principals: [!Exact cluster.local/ns/shop/sa/other] }]]]
  dryRun: false
`;

function workloadYaml({ name, node, address }: (typeof PODS)[number]): string {
  const services = name === "web" ? `{ "shop/${HOSTNAME}": { 80: 8080 } }` : "{}";
  return `- uid: file/${name}
  name: ${name}
  namespace: shop
  serviceAccount: ${name}
  trustDomain: cluster.local
  workloadIps: ["${address}"]
  protocol: HBONE
  node: ${node}
  services: ${services}
`;
}

/** `file` holds LOCAL_XDS; istiod-lite is there for certificates only. */
export function startLocalXdsMesh(path: string, file: string): Promise<InpodMesh> {
  const ztunnel = { env: { XDS_ADDRESS: "", LOCAL_XDS_PATH: file } };
  return InpodMesh.start(path, { pods: PODS, ztunnel });
}

export const LOCAL_XDS_SCENARIOS: Readonly<Record<string, Scenario>> = {
  "finds services and enforces policies as its file says": enforces,
  "dumps the state of its file": dumps,
};

async function enforces(mesh: InpodMesh): Promise<void> {
  const record = await mesh.call("shop/client", "node1", SERVICE);
  assert.equal(record["dst.service"], HOSTNAME);
  assert.equal(record["dst.identity"], `${SPIFFE}/ns/shop/sa/web`);
  const refused = await mesh.sockets.call("shop/other", SERVICE);
  assert.equal(refused.received.toString(), "");
  await waitForRecord(mesh.cluster, "node2", {
    "src.identity": `${SPIFFE}/ns/shop/sa/other`,
    error: /policy rejection.*no-other/,
  });
}

async function dumps(mesh: InpodMesh): Promise<void> {
  const { workloads, services, policies } = await configDump(mesh.cluster, "node1");
  const uids = workloads.map(({ uid }) => uid).sort();
  assert.deepEqual(uids, ["file/client", "file/other", "file/web"]);
  const vips = services.map((service) => service.vips);
  assert.deepEqual(vips, [[`/${SERVICE.ip}`]]);
  assert.equal(policies.length, 1);
}
