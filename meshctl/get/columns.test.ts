import assert from "node:assert/strict";
import { test } from "node:test";
import type { AuthorizationPolicy, KubeService, Pod } from "#common/kubernetes/objects.ts";
import { columnsOf } from "./columns.ts";

const cellsOf = (object: Parameters<typeof columnsOf>[0], wide = false) => {
  const { header, cells } = columnsOf(object, wide);
  return Object.fromEntries(header.map((name, i) => [name, cells[i]]));
};

function pod(more: object = {}, annotations: Record<string, string> = {}): Pod {
  const status = {
    phase: "Running" as const,
    podIPs: [{ ip: "10.244.1.2" }, { ip: "fd00::2" }],
    containerStatuses: [{ name: "c", ready: true, restartCount: 2, state: { running: {} } }],
    ...more,
  };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web", namespace: "shop", annotations },
    spec: {
      nodeName: "node1",
      serviceAccountName: "seller",
      containers: [{ name: "c", image: "node:26" }],
    },
    status,
  };
}

test("a captured pod is shown with its state in the mesh and its identity", () => {
  const captured = cellsOf(pod({}, { "ambient.istio.io/redirection": "enabled" }), true);
  assert.deepEqual(captured, {
    READY: "1/1",
    STATUS: "Running",
    NODE: "node1",
    ADDRESS: "10.244.1.2,fd00::2",
    MESH: "enabled",
    IDENTITY: "spiffe://cluster.local/ns/shop/sa/seller",
    RESTARTS: "2",
    IMAGES: "node:26",
  });
  const outside = cellsOf(pod());
  assert.deepEqual([outside.MESH, outside.IDENTITY, outside.ADDRESS], ["-", "-", "10.244.1.2"]);
});

test("a pod's status is the most telling word about it", () => {
  const status = (of: Pod) => cellsOf(of).STATUS;
  const crashed = {
    containerStatuses: [
      {
        name: "c",
        ready: false,
        restartCount: 1,
        state: { waiting: { reason: "CrashLoopBackOff" } },
      },
    ],
  };
  assert.equal(status(pod(crashed)), "CrashLoopBackOff");
  assert.equal(status(pod({ containerStatuses: [], phase: "Pending" })), "Pending");
  const leaving = { ...pod().metadata, deletionTimestamp: "2026-01-01T00:00:00Z" };
  assert.equal(status({ ...pod(), metadata: leaving }), "Terminating");
});

test("services and policies are shown in a line", () => {
  const service: KubeService = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web" },
    spec: { clusterIPs: ["10.96.0.20"], ports: [{ port: 80, targetPort: "http" }] },
  };
  assert.equal(cellsOf(service).PORTS, "80->http/TCP");
  const policy: AuthorizationPolicy = {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "p", namespace: "shop" },
    spec: { action: "DENY", rules: [{}], selector: { matchLabels: { app: "web" } } },
    status: { conditions: [{ type: "ZtunnelAccepted", status: "False", reason: "Unsupported" }] },
  };
  assert.deepEqual(cellsOf(policy), {
    ACTION: "DENY",
    RULES: "1",
    "APPLIES TO": "app=web",
    ACCEPTED: "no: Unsupported",
  });
});
