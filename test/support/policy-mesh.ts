/**
 * A mesh for tables of policies: a few clients, a few servers, and the question who gets through.
 *
 *     await mesh.enforce(deny([{}]));
 *     await mesh.assertAllowed((call) => call.server === "staging");
 *
 * `shop/db` is on node2, `shop/cache` and `stage/db` ("staging", with the labels of `shop/db`) on
 * node1; the clients are spread over both nodes. All but the outsider and its namespace are in the
 * mesh.
 */
import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { IpAddress } from "#common/model/ip.ts";
import { type ClusterOptions, startCluster, type TestCluster } from "#test/support/cluster.ts";
import { namespace, pod, service } from "#test/support/objects.ts";
import { PodSockets, readToEnd } from "#test/support/pod-sockets.ts";
import { allow } from "#test/support/policy-objects.ts";
import { configDump, openConnections } from "#test/support/ztunnel-view.ts";

export const FAMILIES = ["ipv4", "ipv6"] as const;
export type Family = (typeof FAMILIES)[number];

export const CLIENTS = {
  frontend: "web/frontend",
  batch: "web/batch",
  /** In the namespace of two servers, and with a service account of the frontend's name. */
  neighbour: "shop/neighbour",
  outsider: "outside/outsider",
} as const;
export type Client = keyof typeof CLIENTS;

export const SERVERS = { db: "shop/db", cache: "shop/cache", staging: "stage/db" } as const;
export type Server = keyof typeof SERVERS;

/** `http` of `shop/db` is called by its service, as port 80; all else by the pod's address. */
export const PORTS = { http: 8080, admin: 9090, backup: 7070 } as const;
export const SERVICE_PORT = 80;

export interface Call {
  readonly client: Client;
  readonly server: Server;
  /** The container's. */
  readonly port: number;
  readonly family: Family;
}

type Predicate = (call: Call) => boolean;

/** Where a node's pods have their addresses. */
export const NODE_BLOCKS = {
  node1: { ipv4: "10.244.1.0/24", ipv6: "fd00:10:244:1::/64" },
  node2: { ipv4: "10.244.2.0/24", ipv6: "fd00:10:244:2::/64" },
} as const;
const NODES = ["node1", "node2"] as const;
/** Longer than any wait of a ztunnel: what takes so long hangs. */
const CALL_TIMEOUT_MS = 15_000;

const OBJECTS = [
  namespace("web", "ambient"),
  namespace("shop", "ambient"),
  namespace("stage", "ambient"),
  namespace("outside", undefined),
  namespace("tick", undefined),
  ...pod({ namespace: "web", name: "frontend", node: "node1" }),
  ...pod({ namespace: "web", name: "batch", node: "node2" }),
  ...pod({ namespace: "shop", name: "neighbour", node: "node2", serviceAccount: "frontend" }),
  ...pod({ namespace: "outside", name: "outsider", node: "node1" }),
  ...pod({ namespace: "shop", name: "db", node: "node2", labels: { tier: "data" } }),
  ...pod({ namespace: "shop", name: "cache", node: "node1", labels: { tier: "data" } }),
  ...pod({ namespace: "stage", name: "db", node: "node1", labels: { tier: "data" } }),
  service({ namespace: "shop", name: "db", port: SERVICE_PORT, targetPort: PORTS.http }),
  ...pod({ namespace: "tick", name: "tick", node: "node1" }),
];

/** Every call that a table's row is about: in both families, always. */
const CALLS: readonly Call[] = (Object.keys(CLIENTS) as Client[]).flatMap((client) =>
  (Object.keys(SERVERS) as Server[]).flatMap((server) =>
    (server === "db" ? Object.values(PORTS) : [PORTS.http]).flatMap((port) =>
      FAMILIES.map((family) => ({ client, server, port, family })),
    ),
  ),
);

export class PolicyMesh implements AsyncDisposable {
  readonly cluster: TestCluster;
  readonly sockets: PodSockets;
  readonly #addresses: ReadonlyMap<string, string>;
  #files: readonly string[] = [];
  #ticks = 0;
  #refusals = 0;

  private constructor(
    cluster: TestCluster,
    sockets: PodSockets,
    addresses: ReadonlyMap<string, string>,
  ) {
    this.cluster = cluster;
    this.sockets = sockets;
    this.#addresses = addresses;
  }

  static async start({ objects = [], ...options }: ClusterOptions = {}): Promise<PolicyMesh> {
    const cluster = await startCluster({ ...options, objects: [...OBJECTS, ...objects] });
    const sockets = new PodSockets(cluster);
    const mesh = new PolicyMesh(cluster, sockets, await readAddresses(cluster));
    for (const [server, reference] of Object.entries(SERVERS)) {
      for (const port of Object.values(PORTS)) {
        await sockets.serve(reference, port, (socket) => {
          socket.end(`${server}:${port}`);
          socket.resume();
        });
      }
    }
    return mesh;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.sockets[Symbol.dispose]();
    await this.cluster.stop();
  }

  ip(name: Client | Server, family: Family): IpAddress {
    return this.#address(`${name} ${family}`) as IpAddress;
  }

  /** Makes these the only policies there are; resolves when every ztunnel judges by them. */
  async enforce(...policies: readonly object[]): Promise<void> {
    const files = policies.map(fileOf);
    const gone = this.#files.filter((file) => !files.includes(file));
    for (const file of gone) await rm(this.#path(file), { force: true });
    this.#files = files;
    await this.cluster.apply(...policies);
    await this.settle();
  }

  /** Saves a file of the cluster's folder, as its user would; the next `enforce` removes it. */
  async save(file: string, text: string): Promise<void> {
    if (!this.#files.includes(file)) this.#files = [...this.#files, file];
    await writeFile(this.#path(file), text);
  }

  /**
   * Resolves when what is in the cluster's folder is in force, as far as it can be. A policy that
   * is written later than all else, and the workload that has to name it, have reached the ztunnels
   * after what was written before.
   */
  async settle(): Promise<void> {
    const { client } = this.cluster;
    await client.refresh();
    const name = `tick-${++this.#ticks}`;
    const tick = allow([{}], { name, namespace: "tick", matchLabels: { app: "tick" } });
    await writeFile(this.#path("tick.json"), JSON.stringify(tick));
    await client.refresh();
    await this.cluster.until(`${name} is in force`, async () => {
      const known = await Promise.all(NODES.map((node) => this.#knows(node, `tick/${name}`)));
      return known.every(Boolean);
    });
    // The workers answer a dump in turn with the changes that they were told of before it.
    await Promise.all(NODES.map((node) => configDump(this.cluster, node)));
  }

  /**
   * Asks every call, and holds the whole answer against what is expected. Resolves when the calls
   * are over for the ztunnels too: one that is not would be cut by the next policies, as refused.
   */
  async assertAllowed(expected: Predicate): Promise<void> {
    const standing = new Set(await this.#openConnections());
    const outcomes = await Promise.all(
      CALLS.map(
        async (call) => [describeCall(call), await this.call(call), expected(call)] as const,
      ),
    );
    const seen = outcomes.filter(([, allowed]) => allowed).map(([title]) => title);
    const wanted = outcomes.filter(([, , allowed]) => allowed).map(([title]) => title);
    assert.deepEqual(seen, wanted);
    await this.cluster.until("the ztunnels have seen the calls end", async () => {
      return (await this.#openConnections()).every((connection) => standing.has(connection));
    });
  }

  /** By who called whom. */
  async #openConnections(): Promise<string[]> {
    const open = await Promise.all(NODES.map((node) => openConnections(this.cluster, node)));
    return open.flat().map(({ src, actualDst }) => `${src} -> ${actualDst}`);
  }

  /** Whether the call gets an answer. Throws if it gets neither an answer nor a refusal. */
  async call(call: Call): Promise<boolean> {
    const allowed = await this.#call(call);
    if (!allowed) this.#refusals++;
    return allowed;
  }

  /**
   * Holds the metrics of refusals by policy against what clients saw, over all questions until now.
   */
  async assertRefusalsCounted(): Promise<void> {
    const expected = this.#refusals;
    assert.ok(expected > 0);
    await this.cluster.until("all refusals are counted", async () => {
      return (await this.#countDenied()) >= expected;
    });
    assert.equal(await this.#countDenied(), expected);
  }

  async #countDenied(): Promise<number> {
    const labels = { reporter: "destination", response_flags: "DENY" };
    const counts = await Promise.all(
      NODES.map((node) =>
        this.cluster.ztunnel(node).metric("istio_tcp_connections_failed_total", labels),
      ),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** Where the client has to connect to. */
  target({ server, port, family }: Omit<Call, "client">): { ip: string; port: number } {
    const byService = server === "db" && port === PORTS.http;
    if (byService) return { ip: this.#address(`service ${family}`), port: SERVICE_PORT };
    return { ip: this.ip(server, family), port };
  }

  async #call(call: Call): Promise<boolean> {
    const socket = await this.sockets
      .dial(CLIENTS[call.client], this.target(call))
      .catch((error: NodeJS.ErrnoException) => error);
    if (socket instanceof Error) {
      // A refusal can be faster than the client's look at its new connection.
      assert.equal(socket.code, "ECONNRESET", describeCall(call));
      return false;
    }
    const late = setTimeout(() => socket.destroy(new Error("no answer")), CALL_TIMEOUT_MS);
    const { how, received } = await readToEnd(socket);
    clearTimeout(late);
    socket.destroy();
    const answer = received.toString();
    if (answer === `${call.server}:${call.port}` && how === "end") return true;
    assert.equal(answer, "", describeCall(call));
    assert.ok(["end", "reset"].includes(how), `${describeCall(call)}: ${how}`);
    return false;
  }

  async #knows(node: string, key: string): Promise<boolean> {
    const { policies, workloads } = await configDump(this.cluster, node);
    const tick = workloads.find((workload) => workload.namespace === "tick");
    const known = policies.some((policy) => `${policy.namespace}/${policy.name}` === key);
    return known && tick?.authorizationPolicies?.includes(key) === true;
  }

  #path(file: string): string {
    return join(this.cluster.folder, file);
  }

  #address(key: string): string {
    const ip = this.#addresses.get(key);
    assert.ok(ip, `no address of ${key}`);
    return ip;
  }
}

export function describeCall({ client, server, port, family }: Call): string {
  return `${client} -> ${server}:${port} ${family}`;
}

async function readAddresses(cluster: TestCluster): Promise<ReadonlyMap<string, string>> {
  const addresses = new Map<string, string>();
  for (const [name, reference] of Object.entries({ ...CLIENTS, ...SERVERS })) {
    for (const family of FAMILIES) {
      addresses.set(`${name} ${family}`, await cluster.podIp(reference, family));
    }
  }
  const [ipv4 = "", ipv6 = ""] = (await cluster.find("Service", "shop/db"))?.spec.clusterIPs ?? [];
  return addresses.set("service ipv4", ipv4).set("service ipv6", ipv6);
}

/** The name that the cluster gives the file of an object. */
function fileOf(object: object): string {
  const { kind, metadata } = object as {
    readonly kind: string;
    readonly metadata: { readonly namespace: string; readonly name: string };
  };
  return `${kind}.${metadata.namespace}.${metadata.name}.json`;
}
