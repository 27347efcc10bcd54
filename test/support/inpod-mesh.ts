/**
 * A small mesh whose ztunnels take their pods from a CNI agent: `shop/client` on node1, `shop/web`
 * on node2. The agent is this project's; the ztunnel is any program.
 */
import assert from "node:assert/strict";
import { parseStockZtunnels } from "#meshctl/up/stock-ztunnel-option.ts";
import { type AccessLogRecord, waitForRecord } from "#test/support/access-log.ts";
import { type ClusterOptions, startCluster, type TestCluster } from "#test/support/cluster.ts";
import { MeshProgram } from "#test/support/mesh-program.ts";
import { namespace, type PodOptions, pod } from "#test/support/objects.ts";
import { PodSockets, type Target } from "#test/support/pod-sockets.ts";
import { configDump } from "#test/support/ztunnel-view.ts";

export const PORT = 8080;
export const CLIENT: PodOptions = { namespace: "shop", name: "client", node: "node1" };
export const WEB: PodOptions = { namespace: "shop", name: "web", node: "node2" };

export interface InpodMeshOptions extends Pick<ClusterOptions, "ztunnel"> {
  /** @default the two */
  readonly pods?: readonly PodOptions[];
}

export class InpodMesh implements AsyncDisposable {
  readonly cluster: TestCluster;
  readonly sockets: PodSockets;

  private constructor(cluster: TestCluster) {
    this.cluster = cluster;
    this.sockets = new PodSockets(cluster);
  }

  /** `path` is the ztunnel's program. */
  static async start(path: string, options: InpodMeshOptions = {}): Promise<InpodMesh> {
    const { pods = [CLIENT, WEB], ztunnel } = options;
    const cluster = await startCluster({
      objects: [namespace("shop", "ambient"), ...pods.flatMap(pod)],
      stockZtunnel: parseStockZtunnels([path]),
      ...(ztunnel && { ztunnel }),
    });
    const mesh = new InpodMesh(cluster);
    await mesh.sockets.serve("shop/web", PORT, (socket) => socket.end("web"));
    return mesh;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.sockets[Symbol.dispose]();
    await this.cluster.stop();
  }

  agent(node: string): MeshProgram {
    return new MeshProgram(this.cluster.client, `istio-cni-${node}`);
  }

  /** The pods that a node's ztunnel serves now, by their names; none while it is down. */
  async served(node: string): Promise<string> {
    const dump = await configDump(this.cluster, node).catch(() => undefined);
    const states = Object.values(dump?.workloadState ?? {}).filter(({ state }) => state === "Up");
    return states
      .map(({ info }) => info.name)
      .sort()
      .join(" ");
  }

  untilServed(node: string, names: string): Promise<void> {
    const what = `the ztunnel of ${node} serves ${names || "nobody"}`;
    return this.cluster.until(what, async () => (await this.served(node)) === names);
  }

  async webAddress(): Promise<Target> {
    return { ip: await this.cluster.podIp("shop/web"), port: PORT };
  }

  /** Calls the web pod, which has to answer; what the node's ztunnel says of the connection. */
  async call(client: string, node: string, target?: Target): Promise<AccessLogRecord> {
    const to = target ?? (await this.webAddress());
    const { received, source } = await this.sockets.call(client, to);
    assert.equal(received.toString(), "web");
    return waitForRecord(this.cluster, node, { "src.addr": source });
  }
}
