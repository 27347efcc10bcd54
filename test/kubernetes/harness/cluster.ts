/**
 * A real Kubernetes for a test: etcd, API server, controllers, scheduler, and up to two nodes, each
 * in namespaces of its own. Several can exist at once. It ends with the test's process.
 *
 *     await using cluster = await startKubernetes({ nodes: 2, images: ["image.tar"] });
 *     await cluster.apply(yaml);
 *     const { stdout } = await cluster.exec("shop/client", ["wget", "-qO-", "http://web/"]);
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { connectKubeconfig } from "#common/kube-client/kubeconfig.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { namespaceObstacles } from "../../../tools/system-check.ts";
import { ApiFaults } from "./api-faults.ts";
import { CLUSTER_DNS, KUBE_PROXY_BINDING } from "./base-objects.ts";
import { type ControlPlane, startControlPlane } from "./control-plane.ts";
import { Kubectl } from "./kubectl.ts";
import { collectLogs, lastLogLines } from "./logs.ts";
import { KubernetesNode } from "./node.ts";
import { ClusterPki } from "./pki.ts";
import type { Site } from "./site.ts";
import { prepareTools } from "./tools/toolbox.ts";
import { waitFor } from "./wait-for.ts";

export interface KubernetesOptions {
  /** None unless said otherwise: an API server with its controllers is enough for many tests. */
  readonly nodes?: 0 | 1 | 2;
  /** OCI tars that every node's containerd imports, besides the harness's own. */
  readonly images?: readonly string[];
}

/** Resolves when the API server is ready, its controllers act, and every node is Ready. */
export async function startKubernetes(options: KubernetesOptions = {}): Promise<KubernetesCluster> {
  const obstacles = namespaceObstacles();
  if (obstacles.length > 0) {
    throw new MeshError("KUBERNETES_TOOLS", `no cluster can run here: ${obstacles.join("; ")}`);
  }
  const nodes = options.nodes ?? 0;
  const tools = await prepareTools(nodes === 0 ? "control-plane" : "everything");
  const name = `ambient-mesh-${randomBytes(3).toString("hex")}`;
  const runFolder = mkdtempSync(join(tmpdir(), `${name}-`));
  mkdirSync(join(runFolder, "log"));
  const keeper = startKeeper(name, runFolder);
  try {
    const site: Site = { name, runFolder, tools, pki: new ClusterPki(join(runFolder, "pki")) };
    const controlPlane = await startControlPlane(site);
    const cluster = new KubernetesCluster(site, controlPlane, keeper);
    await cluster.startNodes(nodes, options.images ?? []);
    return cluster;
  } catch (error) {
    const message = `the cluster did not start\n${lastLogLines(join(runFolder, "log"))}`;
    await endKeeper(keeper);
    throw new MeshError("KUBERNETES_START", message, { cause: error });
  }
}

export class KubernetesCluster extends Kubectl implements AsyncDisposable {
  readonly name: string;
  /** The administrator's, for use on this machine. */
  readonly kubeconfig: string;
  /** This machine's address as the cluster sees it: for webhooks that a test serves itself. */
  readonly hostAddress: string;
  /** The administrator's. */
  readonly client: KubeClient;
  readonly controlPlane: ControlPlane;
  readonly faults: ApiFaults;
  readonly #site: Site;
  readonly #keeper: ChildProcess;
  readonly #nodes: KubernetesNode[] = [];

  constructor(site: Site, controlPlane: ControlPlane, keeper: ChildProcess) {
    super(site.tools.program("kubectl"), controlPlane.kubeconfig);
    this.name = site.name;
    this.kubeconfig = controlPlane.kubeconfig;
    this.hostAddress = controlPlane.link.host;
    this.client = connectKubeconfig({ path: controlPlane.kubeconfig });
    this.controlPlane = controlPlane;
    this.faults = new ApiFaults(controlPlane, this);
    this.#site = site;
    this.#keeper = keeper;
  }

  /** Where every program's log is, until the cluster is stopped. */
  get logFolder(): string {
    return join(this.#site.runFolder, "log");
  }

  /** node1, node2. */
  get nodes(): readonly KubernetesNode[] {
    return this.#nodes;
  }

  node(index: 1 | 2): KubernetesNode {
    const node = this.#nodes[index - 1];
    if (node === undefined) throw new Error(`this cluster has ${this.#nodes.length} nodes`);
    return node;
  }

  /** Called once, by the start. Resolves when all are Ready and the cluster's DNS answers. */
  async startNodes(count: number, images: readonly string[]): Promise<void> {
    if (count === 0) return;
    const allImages = [...this.#site.tools.images, ...images];
    for (let index = 1; index <= count; index += 1) {
      this.#nodes.push(new KubernetesNode(this.#site, index, this.controlPlane));
    }
    await this.apply(KUBE_PROXY_BINDING, ...CLUSTER_DNS);
    await Promise.all(this.#nodes.map((node) => node.create(allImages)));
    await waitFor("the nodes to register", () =>
      this.check(["get", "node", ...this.#nodes.map(({ name }) => name)]),
    );
    await this.check(["wait", "--for=condition=Ready", "node", "--all", "--timeout=110s"]);
    await this.rolledOut("kube-system/deploy/coredns");
  }

  /** Everything that may tell why something failed, into a folder that outlives the cluster. */
  collectLogs(folder: string): Promise<void> {
    return collectLogs(this, this.logFolder, folder);
  }

  /** Ends everything; resolves when nothing of it is left. */
  async stop(): Promise<void> {
    this.client.close();
    await endKeeper(this.#keeper);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** See keeper.ts: it ends the cluster when its standard input does. */
function startKeeper(name: string, runFolder: string): ChildProcess {
  const script = join(import.meta.dirname, "keeper.ts");
  const child = spawn(process.execPath, [script, name, runFolder], {
    stdio: ["pipe", "ignore", "inherit"],
    detached: true,
  });
  child.unref();
  return child;
}

async function endKeeper(keeper: ChildProcess): Promise<void> {
  if (keeper.exitCode !== null || keeper.signalCode !== null) return;
  keeper.ref();
  const ended = once(keeper, "exit");
  keeper.stdin?.end();
  await ended;
}
