/**
 * A mesh in which an HBONE server of the test's own stands in for node2's ztunnel, which is down:
 * node1's ztunnel calls it for its pods.
 */
import type net from "node:net";
import { type AccessLogRecord, waitForRecord } from "#test/support/access-log.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import { type Behaviour, HboneListener } from "#test/support/hbone-listener.ts";
import { issueLeaf, type LeafOptions, type TestCa } from "#test/support/hbone-peer.ts";
import { meshCa } from "#test/support/mesh-ca.ts";
import { namespace, pod, service } from "#test/support/objects.ts";
import { PodSockets } from "#test/support/pod-sockets.ts";
import { startMesh } from "#test/support/ztunnel-view.ts";

const HBONE = 15008;
/** That clients ask for. */
export const PORT = 8080;

const OBJECTS = [
  namespace("shop", "ambient"),
  ...pod({ namespace: "shop", name: "client", node: "node1" }),
  ...pod({ namespace: "shop", name: "other", node: "node1" }),
  ...["web", "stalled", "silent"].flatMap((name) =>
    pod({ namespace: "shop", name, node: "node2" }),
  ),
  service({ namespace: "shop", name: "web" }),
];

export type Server = "web" | "stalled" | "silent";

/** What a client of the mesh got for its request, and what node1's ztunnel says of it. */
export interface StandInCall {
  readonly how: string;
  readonly received: string;
  readonly record: AccessLogRecord;
}

export class StandInMesh implements AsyncDisposable {
  readonly cluster: TestCluster;
  readonly sockets: PodSockets;
  readonly ca: TestCa;
  /** As the pod shop/web's own ztunnel would behave. */
  readonly good: Behaviour;
  /** What stands in for shop/web's ztunnel. */
  readonly listener: HboneListener;

  private constructor(cluster: TestCluster, ca: TestCa) {
    this.cluster = cluster;
    this.sockets = new PodSockets(cluster);
    this.ca = ca;
    this.good = { certificate: this.leaf("web") };
    this.listener = new HboneListener(this.good);
  }

  static async start(): Promise<StandInMesh> {
    const cluster = await startMesh({ objects: OBJECTS });
    const mesh = new StandInMesh(cluster, await meshCa(cluster));
    await cluster.ztunnel("node2").stop();
    await mesh.#listen("web", mesh.listener);
    return mesh;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.reset();
    this.sockets[Symbol.dispose]();
    await this.cluster.stop();
  }

  /** Cuts the tunnels of the stand-in for shop/web and lets it behave well again. */
  reset(): void {
    this.listener.reset(this.good);
  }

  /** A certificate of the mesh's CA for a service account of namespace shop. */
  leaf(serviceAccount: string, options: LeafOptions = {}) {
    return issueLeaf(this.ca, { namespace: "shop", serviceAccount }, options);
  }

  /** Another stand-in. */
  async listen(name: Exclude<Server, "web">, behaviour: Behaviour): Promise<void> {
    await this.#listen(name, new HboneListener(behaviour));
  }

  async dial(from = "shop/client", to: Server = "web"): Promise<net.Socket> {
    return this.sockets.dial(from, { ip: await this.cluster.podIp(`shop/${to}`), port: PORT });
  }

  /** Sends "secret" from shop/client and waits for the end. */
  async call(to: Server = "web"): Promise<StandInCall> {
    const target = { ip: await this.cluster.podIp(`shop/${to}`), port: PORT };
    const { source, how, received } = await this.sockets.call("shop/client", target, "secret");
    const record = await waitForRecord(this.cluster, "node1", { "src.addr": source });
    return { how, received: String(received), record };
  }

  async #listen(name: Server, listener: HboneListener): Promise<void> {
    await this.sockets.serve(`shop/${name}`, HBONE, (socket) => listener.accept(socket));
  }
}
