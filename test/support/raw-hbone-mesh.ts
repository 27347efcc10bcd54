/**
 * A mesh for a raw HBONE client: captured servers on node2, and a client outside the mesh on node1
 * that comes with whatever certificate a test gives it.
 */
import assert from "node:assert/strict";
import type { ClientHttp2Session } from "node:http2";
import type net from "node:net";
import type { MeshProcessSettings } from "#meshctl/local/cluster-settings.ts";
import { type AccessLogRecord, waitForRecord } from "#test/support/access-log.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import {
  connectHbone,
  issueLeaf,
  type LeafOptions,
  type PeerOptions,
  type TestCa,
} from "#test/support/hbone-peer.ts";
import { meshCa } from "#test/support/mesh-ca.ts";
import { namespace, pod, service } from "#test/support/objects.ts";
import { PodSockets, peerIp } from "#test/support/pod-sockets.ts";
import { startMesh } from "#test/support/ztunnel-view.ts";

/** Of the applications. */
export const PORT = 8080;
export const HBONE = 15008;
/** The raw client's pod. */
export const CLIENT = "outside/client";
/** Captured pods of namespace shop; policies let only `friend` in to `guarded` and `fenced`. */
export type Server = "web" | "guarded" | "fenced";
const SERVERS: readonly Server[] = ["web", "guarded", "fenced"];

const OBJECTS = [
  namespace("shop", "ambient"),
  namespace("outside", undefined),
  ...pod({ namespace: "outside", name: "client", node: "node1" }),
  ...pod({ namespace: "shop", name: "friend", node: "node1" }),
  ...pod({ namespace: "shop", name: "web", node: "node2" }),
  ...pod({ namespace: "shop", name: "guarded", node: "node2" }),
  ...pod({ namespace: "shop", name: "fenced", node: "node2" }),
  service({ namespace: "shop", name: "web" }),
  service({ namespace: "shop", name: "guarded" }),
  {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "friends", namespace: "shop" },
    spec: {
      selector: { matchLabels: { app: "guarded" } },
      rules: [{ from: [{ source: { principals: ["cluster.local/ns/shop/sa/friend"] } }] }],
    },
  },
];

export class RawHboneMesh implements AsyncDisposable {
  readonly cluster: TestCluster;
  readonly sockets: PodSockets;
  readonly ca: TestCa;
  /** What the applications do with a connection. */
  onConnection: (socket: net.Socket) => void = greetAndEcho;

  private constructor(cluster: TestCluster, ca: TestCa) {
    this.cluster = cluster;
    this.sockets = new PodSockets(cluster);
    this.ca = ca;
  }

  static async start(
    ztunnel: MeshProcessSettings = {},
    istiod: MeshProcessSettings = {},
  ): Promise<RawHboneMesh> {
    const cluster = await startMesh({ objects: OBJECTS, ztunnel, istiod });
    const mesh = new RawHboneMesh(cluster, await meshCa(cluster));
    for (const server of SERVERS) {
      await mesh.sockets.serve(`shop/${server}`, PORT, (socket) => mesh.onConnection(socket));
    }
    await cluster.apply({
      apiVersion: "security.istio.io/v1",
      kind: "AuthorizationPolicy",
      metadata: { name: "fence", namespace: "shop" },
      spec: {
        selector: { matchLabels: { app: "fenced" } },
        rules: [{ from: [{ source: { ipBlocks: [await cluster.podIp("shop/friend")] } }] }],
      },
    });
    return mesh;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.sockets[Symbol.dispose]();
    await this.cluster.stop();
  }

  /** A certificate of the mesh's CA for a service account of namespace shop. */
  leaf(serviceAccount: string, options: LeafOptions = {}) {
    return issueLeaf(this.ca, { namespace: "shop", serviceAccount }, options);
  }

  /** A new connection from the client's pod to a server's 15008; shop/client's certificate. */
  async peerOptions(server: Server, options: Partial<PeerOptions> = {}): Promise<PeerOptions> {
    const host = await this.cluster.podIp(`shop/${server}`);
    const socket = await this.sockets.dial(CLIENT, { ip: host, port: HBONE });
    // TLS ends when its peer does.
    socket.allowHalfOpen = false;
    return { host, port: HBONE, socket, certificate: this.leaf("client"), ...options };
  }

  async open(server: Server = "web", options?: Partial<PeerOptions>): Promise<ClientHttp2Session> {
    return connectHbone(await this.peerOptions(server, options));
  }

  /** What a CONNECT to the server's application asks for. */
  async authorityOf(server: Server): Promise<string> {
    return `${await this.cluster.podIp(`shop/${server}`)}:${PORT}`;
  }

  /** The record of a refusal that node2 logged for the client. */
  async refusal(reason: string): Promise<AccessLogRecord> {
    return waitForRecord(this.cluster, "node2", {
      "src.addr": new RegExp(`^${await this.cluster.podIp(CLIENT)}:`),
      reason,
    });
  }

  /** Fails unless the servers' ztunnel is the process it was, ready, and serves its pods. */
  async assertUnharmed(): Promise<void> {
    const { cluster, sockets } = this;
    assert.equal(await cluster.ztunnel("node2").isReady(), true);
    const { containers } = await cluster.client.pod("istio-system", "ztunnel-node2");
    assert.equal(containers.length, 1);
    const target = { ip: await cluster.podIp("shop/guarded"), port: PORT };
    const { received } = await sockets.call("shop/friend", target, "hello");
    assert.equal(String(received), `${await cluster.podIp("shop/friend")}\nhello`);
  }
}

/** Tells the client the address it is seen with, then gives back what comes. */
export function greetAndEcho(socket: net.Socket): void {
  socket.write(`${peerIp(socket)}\n`);
  socket.pipe(socket);
}
