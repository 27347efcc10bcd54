/** Servers outside of the mesh, reached through the waypoint of an egress namespace. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { WaypointMesh } from "#test/support/waypoint-mesh.ts";

const SERVER = `
apiVersion: v1
kind: Namespace
metadata: {name: outside}
---
apiVersion: v1
kind: Pod
metadata: {name: server, namespace: outside, labels: {app: server}}
spec:
  nodeName: node2
  containers: [{name: app, image: node:26, command: [node, FILE, external]}]
---
apiVersion: v1
kind: Service
metadata: {name: server, namespace: outside}
spec: {selector: {app: server}, ports: [{port: 80, targetPort: 8080}]}
`;

/** Its waypoint is the way out for whoever calls the ServiceEntries in it. */
const EGRESS = `
apiVersion: v1
kind: Namespace
metadata:
  name: egress
  labels: {istio.io/dataplane-mode: ambient, istio.io/use-waypoint: waypoint}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: egress}
spec:
  gatewayClassName: istio-waypoint
  listeners: [{name: mesh, port: 15008, protocol: HBONE}]
`;

const HOSTS = { STATIC: "static.example.com", DNS: "dns.example.com" } as const;

function entry(resolution: "STATIC" | "DNS", endpoint: string): string {
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${resolution.toLowerCase()}, namespace: egress}
spec:
  hosts: [${HOSTS[resolution]}]
  location: MESH_EXTERNAL
  resolution: ${resolution}
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: ${endpoint}}]
`;
}

const NO_DELETE = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-delete, namespace: egress}
spec:
  targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: static}]
  action: DENY
  rules: [{to: [{operation: {methods: [DELETE]}}]}]
`;

describe("the waypoint of an egress namespace", () => {
  let mesh: WaypointMesh;

  before(async () => {
    mesh = await WaypointMesh.start([EGRESS]);
    await mesh.cluster.apply(SERVER.replace("FILE", mesh.appFile));
    // An address of a pod would be the pod's, whatever a ServiceEntry says.
    const address = (await mesh.cluster.find("Service", "outside/server"))?.spec.clusterIP ?? "";
    await mesh.cluster.apply(entry("STATIC", address));
    await mesh.cluster.apply(entry("DNS", "server.outside.svc.cluster.local"));
  });
  after(() => mesh?.stop());

  for (const [resolution, host] of Object.entries(HOSTS)) {
    test(`carries requests to a server that is not in the mesh, ${resolution}`, async () => {
      const url = `http://${host}/x`;
      const { body } = await mesh.until("it is reached", url, (reply) => reply.status === 200);
      const { name, headers } = JSON.parse(body);
      assert.equal(name, "external");
      assert.equal(headers.host, host);
      assert.ok(headers["x-request-id"], "only a waypoint sets it");
    });
  }

  test("holds them to its policies", async () => {
    await mesh.cluster.apply(NO_DELETE);
    const options = ["-X", "DELETE"];
    const url = `http://${HOSTS.STATIC}/`;
    await mesh.until("the policy is in force", url, (r) => r.status === 403, { options });
    assert.equal((await mesh.curl(url)).status, 200);
    assert.equal((await mesh.curl(`http://${HOSTS.DNS}/`, { options })).status, 200);
  });
});
