/**
 * A mesh with a waypoint: namespace shop (services api, api-v1, api-v2, in front of one pod each of
 * v1 and v2) whose traffic passes it, and clients in namespaces web and batch.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Condition } from "#common/kubernetes/objects.ts";
import { type ClusterOptions, startCluster, type TestCluster } from "#test/support/cluster.ts";

const APP = join(import.meta.dirname, "waypoint-app.ts");
const CLIENT = join(import.meta.dirname, "waypoint-client.ts");
const READY = { timeoutMs: 60_000 };

export const GATEWAY = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop}
spec:
  gatewayClassName: istio-waypoint
  listeners: [{name: mesh, port: 15008, protocol: HBONE}]
`;

const PORTS = `[
  {name: http, port: 80, targetPort: 8080},
  {name: http2, port: 82, targetPort: 8082},
  {name: grpc, port: 83, targetPort: 8083},
  {name: any, port: 84, targetPort: 8082},
  {name: tcp, port: 90, targetPort: 9000},
  {name: sniffed, port: 91, targetPort: 9000}]`;

function app(name: string, version: string, node: string): string {
  const command = JSON.stringify(["node", APP, name]);
  const probe = "{httpGet: {path: /ready, port: 8080}, periodSeconds: 1}";
  return `
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}, namespace: shop}
spec:
  selector: {matchLabels: {app: api, version: ${version}}}
  template:
    metadata: {labels: {app: api, version: ${version}}}
    spec:
      nodeSelector: {kubernetes.io/hostname: ${node}}
      containers: [{name: app, image: node:26, command: ${command}, readinessProbe: ${probe}}]
---
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop}
spec: {selector: {app: api, version: ${version}}, ports: ${PORTS}}
`;
}

function client(namespace: string): string {
  return `
apiVersion: v1
kind: Namespace
metadata: {name: ${namespace}, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: ${namespace}}
spec: {nodeName: node1, containers: [{name: c, image: curlimages/curl, command: [sleep, infinity]}]}
`;
}

const SHOP = `
apiVersion: v1
kind: Namespace
metadata:
  name: shop
  labels: {istio.io/dataplane-mode: ambient, istio.io/use-waypoint: waypoint}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec: {selector: {app: api}, ports: ${PORTS}}
`;

/** What the app says of a request. */
export interface Answer {
  readonly name: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: number;
  readonly peer: string;
}

/** What curl saw. */
export interface Reply {
  /** 0 where there was no answer. */
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  readonly error: string;
}

export class WaypointMesh implements AsyncDisposable {
  readonly cluster: TestCluster;
  /** The program that runs behind the waypoint: `node FILE NAME`. */
  readonly appFile = APP;

  private constructor(cluster: TestCluster) {
    this.cluster = cluster;
  }

  /** Resolves when requests to every service are answered through the waypoint. */
  static async start(
    objects: readonly (string | object)[] = [],
    options: Omit<ClusterOptions, "objects"> = {},
  ): Promise<WaypointMesh> {
    const all = [SHOP, app("api-v1", "v1", "node1"), app("api-v2", "v2", "node2"), GATEWAY];
    const clients = [client("web"), client("batch")];
    const given = [...all, ...clients, ...objects];
    const cluster = await startCluster({ ...options, objects: given });
    const mesh = new WaypointMesh(cluster);
    try {
      await mesh.#ready();
      return mesh;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  stop(): Promise<void> {
    return this.cluster.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** A request from the client pod of `from`; `options` are curl's. */
  async curl(
    url: string,
    { from = "web", options = [] }: { from?: string; options?: readonly string[] } = {},
  ): Promise<Reply> {
    const argv = ["curl", "-sS", "--max-time", "20", "-i", ...options, url];
    const { stdout, stderr } = await this.cluster.exec(`${from}/client`, argv, {
      timeoutMs: 30_000,
    });
    return parseReply(stdout, stderr);
  }

  /** As `curl`, where the app answers. */
  async ask(url: string, options: Parameters<WaypointMesh["curl"]>[1] = {}): Promise<Answer> {
    const { status, body, error } = await this.curl(url, options);
    assert.equal(status, 200, `${url}: ${status} ${body} ${error}`);
    return JSON.parse(body);
  }

  /** Runs a command of waypoint-client.ts in the client pod of namespace web. */
  async talk(argv: readonly string[], timeoutMs = 60_000): Promise<Record<string, unknown>> {
    const command = ["node", CLIENT, ...argv];
    const { stdout, stderr } = await this.cluster.exec("web/client", command, { timeoutMs });
    assert.notEqual(stdout, "", stderr);
    return JSON.parse(stdout);
  }

  /** The waypoint's pods that are ready. */
  async waypoints(): Promise<readonly string[]> {
    const pods = await this.cluster.podsOf("shop/waypoint");
    const isReady = ({ type, status }: Condition) => type === "Ready" && status === "True";
    const ready = pods.filter(({ status }) => status?.conditions?.some(isReady));
    return ready.map(({ metadata }) => metadata.name);
  }

  /** Asks `url` until the answer is as wanted. */
  async until(
    what: string,
    url: string,
    wanted: (reply: Reply) => boolean,
    options: Parameters<WaypointMesh["curl"]>[1] = {},
  ): Promise<Reply> {
    let reply: Reply | undefined;
    await this.cluster.until(
      what,
      async () => {
        reply = await this.curl(url, options);
        return wanted(reply);
      },
      READY,
    );
    assert.ok(reply);
    return reply;
  }

  async #ready(): Promise<void> {
    for (const name of ["api", "api-v1", "api-v2"]) {
      await this.until(
        `${name} is answered through the waypoint`,
        `http://${name}.shop/`,
        ({ status, body }) => status === 200 && body.includes("x-forwarded-for"),
      );
    }
  }
}

function parseReply(stdout: string, error: string): Reply {
  let [head = "", ...rest] = stdout.split("\r\n\r\n");
  // 100 (Continue) and other informational heads come before.
  while (/^HTTP\/\S+ 1\d\d/.test(head) && rest.length > 0) [head = "", ...rest] = rest;
  const [first = "", ...lines] = head.split("\r\n");
  const status = Number(/^HTTP\/\S+ (\d+)/.exec(first)?.[1] ?? 0);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { status, headers, body: rest.join("\r\n\r\n"), error };
}
