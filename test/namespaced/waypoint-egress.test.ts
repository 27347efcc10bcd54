/** Servers outside of the mesh, reached through the waypoint of an egress namespace. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { run } from "#test/support/run.ts";
import { type Reply, WaypointMesh } from "#test/support/waypoint-mesh.ts";

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
  containers:
  - name: app
    image: node:26
    command: [node, FILE, external]
    env: [{name: TLS_KEY, value: KEY}, {name: TLS_CERT, value: CERT}]
---
apiVersion: v1
kind: Service
metadata: {name: server, namespace: outside}
spec:
  selector: {app: server}
  ports: [{name: http, port: 80, targetPort: 8080}, {name: https, port: 8443, targetPort: 8443}]
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
  ports:
  - {number: 80, name: http, protocol: HTTP}
  - {number: 8443, name: http-to-tls, protocol: HTTP}
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

/** The applications speak HTTP, the waypoint TLS with the server. */
function originateTls(more: string): string {
  return `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: static, namespace: egress}
spec:
  host: ${HOSTS.STATIC}
  trafficPolicy:
    portLevelSettings: [{port: {number: 8443}, tls: {mode: SIMPLE${more}}}]
`;
}

const WILDCARD = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wildcard, namespace: egress}
spec:
  hosts: ["*.outside.svc.cluster.local"]
  location: MESH_EXTERNAL
  resolution: DYNAMIC_DNS
  ports: [{number: 80, name: http, protocol: HTTP}]
`;

/** A key and a certificate that nobody signed. */
async function selfSigned(): Promise<{ readonly key: string; readonly cert: string }> {
  const subject = ["-subj", "/CN=static.example.com", "-days", "1"];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const argv = ["openssl", "req", "-x509", ...curve, ...subject, "-keyout", "-", "-out", "-"];
  const { stdout } = await run(argv);
  const [key = "", cert = ""] = stdout.split(/(?=-----BEGIN CERTIFICATE)/);
  return { key, cert };
}

describe("the waypoint of an egress namespace", () => {
  let mesh: WaypointMesh;

  before(async () => {
    mesh = await WaypointMesh.start([EGRESS]);
    const { key, cert } = await selfSigned();
    await mesh.cluster.apply(
      SERVER.replace("FILE", mesh.appFile)
        .replace("KEY}", () => `${JSON.stringify(key)}}`)
        .replace("CERT}", () => `${JSON.stringify(cert)}}`),
    );
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

  test("speaks TLS with a server where a DestinationRule says so, if it can trust it", async () => {
    const url = `http://${HOSTS.STATIC}:8443/secret`;
    await mesh.cluster.apply(originateTls(""));
    await mesh.until("it is not reached", url, (r) => r.status === 503);
    // Clear text to that port fails, too, as it did before the rule.
    await mesh.cluster.until("an unknown signer is not trusted", async () => {
      await mesh.curl(url);
      const [pod] = await mesh.cluster.podsOf("egress/waypoint");
      const log = await mesh.cluster.logs(`egress/${pod?.metadata.name}`);
      return /TLS with \S+ failed: /.test(log);
    });
    await mesh.cluster.apply(originateTls(", insecureSkipVerify: true"));
    const { body } = await mesh.until("it is not asked who signed", url, (r) => r.status === 200);
    assert.equal(JSON.parse(body).url, "/secret");
  });

  test("finds the server of a wildcard by the name in the request", async () => {
    await mesh.cluster.apply(`
apiVersion: v1
kind: Service
metadata: {name: alias, namespace: outside}
spec: {type: ExternalName, externalName: server.outside.svc.cluster.local}
`);
    await mesh.cluster.apply(WILDCARD);
    const url = "http://alias.outside.svc.cluster.local/wild";
    const wanted = ({ status, body }: Reply) => status === 200 && body.includes("x-request-id");
    const { body } = await mesh.until("it is reached through the waypoint", url, wanted);
    const { name, headers } = JSON.parse(body);
    assert.equal(name, "external");
    assert.equal(headers.host, "alias.outside.svc.cluster.local");
    const nowhere = await mesh.curl(url, { options: ["-H", "host: elsewhere.example.com"] });
    assert.ok(nowhere.status >= 400, `${nowhere.status}: a name that the entry does not have`);
  });
});
