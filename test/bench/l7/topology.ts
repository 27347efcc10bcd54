/**
 * The cluster that everything is measured on: clients on the first node, servers and waypoints on
 * the second. A case is a namespace with a client, a server and, where it has one, a waypoint.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MeshError } from "#common/runtime/errors.ts";
import { startCluster, type TestCluster } from "#test/support/cluster.ts";
import { type Case, hasWaypoint, type Protocol } from "./cases.ts";
import { policyObjects, routeObjects, routePath } from "./configuration.ts";
import { bearerToken } from "./token.ts";

export const NODES = ["node1", "node2"] as const;
const CLIENT_NODE = NODES[0];
const SERVER_NODE = NODES[1];
const WAYPOINT = "waypoint";

const REPOSITORY = fileURLToPath(new URL("../../..", import.meta.url));
const WAYPOINT_PROGRAM = join(REPOSITORY, "waypoint/main.ts");
/** As in an image, waypoints find their code compiled: reading TypeScript takes 30 MB. */
const CACHE = join(REPOSITORY, "node_modules/.cache/bench-l7");

/** Where each protocol's requests go; the server's ports are 8,000 higher. */
export const PORTS: Readonly<Record<Protocol, number>> = { http1: 80, http2: 81, grpc: 82 };
const PORT_SHIFT = 8_000;
/** A gRPC message of 1 KiB behind its prefix: not compressed, its length. */
export const MESSAGE_FILE = "/tmp/message";
const MESSAGE_PREFIX = "\\000\\000\\000\\004\\000";
const MESSAGE_TEXT = "head -c 1024 /dev/zero | tr '\\000' x";
const WRITE_MESSAGE = `{ printf '${MESSAGE_PREFIX}'; ${MESSAGE_TEXT}; }`;

/** 1 KiB to every request. The headers say who asked, as the server sees it. */
const NGINX = `
daemon off; pid /tmp/nginx.pid; error_log stderr crit; worker_processes 1;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 100000000; add_header x-peer $remote_addr;
  server { listen 8080; location / { return 200 "${"x".repeat(1_024)}"; } }
  server { listen 8081 http2; location / { return 200 "${"x".repeat(1_024)}"; } }
  server {
    listen 8082 http2; root /tmp; add_trailer grpc-status 0 always;
    location / {
      types {} default_type application/grpc;
      error_page 405 =200 /message; try_files /message =404;
    }
  }
}
`;
const SERVE = `${WRITE_MESSAGE} > ${MESSAGE_FILE}; exec nginx -c /app/nginx.conf`;

/** What requests of a case are like. */
export interface Target {
  /** `namespace/name`. */
  readonly client: string;
  readonly host: string;
  readonly path: string;
  readonly headers: readonly string[];
}

export async function startTopology(cases: readonly Case[]): Promise<TestCluster> {
  fillCompileCache();
  const objects = await Promise.all(cases.map(objectsOf));
  return await startCluster({ objects: objects.flat() });
}

/** By a waypoint that has no configuration, says so, and ends. */
function fillCompileCache(): void {
  const env = { NODE_COMPILE_CACHE: CACHE };
  spawnSync(process.execPath, [WAYPOINT_PROGRAM], { env, stdio: "ignore" });
}

export async function targetOf(name: Case): Promise<Target> {
  const namespace = namespaceOf(name);
  const headers = name === "policies" ? [`authorization: Bearer ${await bearerToken()}`] : [];
  return {
    client: `${namespace}/client`,
    host: `server.${namespace}`,
    path: name === "routes" ? routePath : "/bench.Echo/Say",
    headers,
  };
}

/** The directory in /proc of the waypoint of a case; throws where it does not run. */
export async function waypointProcDir(cluster: TestCluster, name: Case): Promise<string> {
  const namespace = namespaceOf(name);
  const { metadata } = await cluster.pod(`${namespace}/${WAYPOINT}`);
  const { containers } = await cluster.client.pod(namespace, metadata.name);
  const pid = containers[0]?.pid;
  if (pid === undefined) throw new MeshError("WAYPOINT_GONE", `${metadata.name} does not run`);
  return cluster.client.outside(`/proc/${pid}`);
}

/** The address that the server sees where requests come the way that they should. */
export async function expectedPeer(cluster: TestCluster, name: Case): Promise<string> {
  const pod = hasWaypoint(name) ? WAYPOINT : "client";
  return cluster.podIp(`${namespaceOf(name)}/${pod}`);
}

function namespaceOf(name: Case): string {
  return `bench-${name}`;
}

async function objectsOf(name: Case): Promise<readonly (string | object)[]> {
  const namespace = namespaceOf(name);
  const inMesh = name === "direct" ? {} : { "istio.io/dataplane-mode": "ambient" };
  const uses = hasWaypoint(name) ? { "istio.io/use-waypoint": WAYPOINT } : {};
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, labels: inMesh } },
    configMap(namespace, "nginx", { "nginx.conf": NGINX }),
    clientPod(namespace),
    serverPod(namespace),
    service(namespace, uses),
    ...(hasWaypoint(name) ? gateway(namespace) : []),
    ...(name === "policies" ? await policyObjects(namespace) : []),
    ...(name === "routes" ? routeObjects(namespace, Object.values(PORTS)) : []),
  ];
}

function configMap(namespace: string, name: string, data: Readonly<Record<string, string>>) {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace }, data };
}

function clientPod(namespace: string): object {
  const command = ["sh", "-c", `${WRITE_MESSAGE} > ${MESSAGE_FILE}; exec sleep infinity`];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "client", namespace },
    spec: { nodeName: CLIENT_NODE, containers: [{ name: "c", image: "debian", command }] },
  };
}

function serverPod(namespace: string): object {
  const container = {
    name: "nginx",
    image: "debian",
    command: ["sh", "-c", SERVE],
    readinessProbe: { tcpSocket: { port: PORTS.http1 + PORT_SHIFT } },
    volumeMounts: [{ name: "app", mountPath: "/app" }],
  };
  const volumes = [{ name: "app", configMap: { name: "nginx" } }];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "server", namespace, labels: { app: "server" } },
    spec: { nodeName: SERVER_NODE, containers: [container], volumes },
  };
}

function service(namespace: string, labels: Readonly<Record<string, string>>): object {
  const appProtocols = { http1: "http", http2: "kubernetes.io/h2c", grpc: "grpc" };
  const ports = Object.entries(PORTS).map(([name, port]) => {
    const appProtocol = appProtocols[name as Protocol];
    return { name, port, targetPort: port + PORT_SHIFT, appProtocol };
  });
  const metadata = { name: "server", namespace, labels };
  return { apiVersion: "v1", kind: "Service", metadata, spec: { selector: APP, ports } };
}

const APP = { app: "server" };

function gateway(namespace: string): readonly object[] {
  const container = { name: "istio-proxy", env: [{ name: "NODE_COMPILE_CACHE", value: CACHE }] };
  const template = { spec: { nodeName: SERVER_NODE, containers: [container] } };
  return [
    configMap(namespace, "placement", { deployment: JSON.stringify({ spec: { template } }) }),
    {
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "Gateway",
      metadata: { name: WAYPOINT, namespace },
      spec: {
        gatewayClassName: "istio-waypoint",
        listeners: [{ name: "mesh", port: 15008, protocol: "HBONE" }],
        infrastructure: {
          parametersRef: { group: "", kind: "ConfigMap", name: "placement" },
        },
      },
    },
  ];
}
