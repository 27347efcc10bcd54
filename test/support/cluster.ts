/**
 * A namespace cluster for a test: the very one that `meshctl up` makes. It ends with the test's
 * process, however that ends.
 *
 *     await using cluster = await startCluster({ objects: [yaml] });
 *     const { stdout } = await cluster.exec("shop/client", ["curl", "-s", "http://web/"]);
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import type { KubernetesKind, KubernetesObject } from "#common/kubernetes/objects.ts";
import type { ServiceAccountClaims } from "#common/tls/service-account-token.ts";
import { type ClusterProcess, startClusterProcess } from "#meshctl/local/cluster-process.ts";
import type { MeshProcessSettings, StockZtunnel } from "#meshctl/local/cluster-settings.ts";
import type { ClusterEvent } from "#meshctl/local/events.ts";
import { ISTIOD } from "#meshctl/local/mesh/mesh-programs.ts";
import { ztunnelName } from "#meshctl/local/mesh/node-programs.ts";
import { enterNetns, enterPod } from "#meshctl/local/pod/enter.ts";
import { ClusterView, redirectionOf, splitReference } from "#test/support/cluster-view.ts";
import { MeshProgram, ZtunnelProgram } from "#test/support/mesh-program.ts";
import { type RunOptions, type RunResult, run } from "#test/support/run.ts";

export { redirectionOf };

export interface ClusterOptions {
  /**
   * YAML text (any number of documents) or objects; nodes node1 and node2 unless there are others.
   */
  readonly objects?: readonly (string | object)[];
  /** False: no istiod-lite, no ztunnels. */
  readonly mesh?: boolean;
  /** Changes to how the ztunnels are run. */
  readonly ztunnel?: MeshProcessSettings;
  readonly istiod?: MeshProcessSettings;
  /** Stock ztunnel binaries in place of ours, on all nodes or on some. */
  readonly stockZtunnel?: StockZtunnel;
  /** False: pods begin before their traffic is captured. */
  readonly failClosed?: boolean;
}

/** A busy machine takes longer than a start waits for its pods. */
const READY = { timeoutMs: 60_000 };

let clusters = 0;

/** Resolves when the mesh is up and every pod is ready. Throws if the objects have errors. */
export async function startCluster(options: ClusterOptions = {}): Promise<TestCluster> {
  const events: ClusterEvent[] = [];
  const { mesh = true, ztunnel, istiod, stockZtunnel, failClosed = true } = options;
  const settings = {
    name: `test-${process.pid}-${++clusters}`,
    mesh,
    failClosed,
    detached: false,
    ...(ztunnel === undefined ? {} : { ztunnel }),
    ...(istiod === undefined ? {} : { istiod }),
    ...(stockZtunnel === undefined ? {} : { stockZtunnel }),
  };
  const files = Object.fromEntries((options.objects ?? []).flatMap(toFiles));
  const started = await startClusterProcess(settings, (event) => void events.push(event), files);
  const cluster = new TestCluster(started, events);
  try {
    await cluster.checkProblems();
    await cluster.until("every pod is ready", () => cluster.checkReady().then(() => true), READY);
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

export class TestCluster extends ClusterView implements AsyncDisposable {
  /** Everything that `meshctl up` would have printed. */
  readonly events: readonly ClusterEvent[];
  readonly istiod: MeshProgram;
  readonly #process: ClusterProcess;

  constructor(started: ClusterProcess, events: readonly ClusterEvent[]) {
    super(started.client);
    this.#process = started;
    this.events = events;
    this.istiod = new MeshProgram(started.client, ISTIOD);
  }

  /** The cluster's init, as seen from here; its files are below /proc/PID/root. */
  get initPid(): number {
    return this.client.initPid;
  }

  /** The folder that the cluster follows, as seen from here: for writing files by hand. */
  get folder(): string {
    return this.client.paths.folder;
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /**
   * Adds objects or replaces them; resolves when they are published. Throws if they have errors.
   */
  async apply(...objects: readonly (string | object)[]): Promise<void> {
    for (const [name, content] of objects.flatMap(toFiles)) {
      await writeFile(join(this.folder, name), content);
    }
    await this.client.refresh();
    await this.checkProblems();
  }

  /** Removes an object that was given to `startCluster` or `apply`. */
  async delete(kind: KubernetesKind, reference: string): Promise<void> {
    const [namespace, name] = splitReference(reference);
    const file = fileName({ kind, metadata: { name, ...(namespace ? { namespace } : {}) } });
    await rm(join(this.folder, file));
    await this.client.refresh();
  }

  /** As `meshctl delete pod`; resolves when the pod is gone. */
  async deletePod(reference: string, graceSeconds = 0): Promise<void> {
    const { uid } = (await this.pod(reference)).metadata;
    const [namespace = "default", name] = splitReference(reference);
    await this.client.deletePod(namespace, name, graceSeconds);
    await this.until(`pod ${reference} is gone`, async () => {
      const pod = await this.find("Pod", reference);
      return pod === undefined || pod.metadata.uid !== uid;
    });
  }

  /**
   * Runs a command in a pod as its (first) container runs. Does not throw for a status other than
   * 0.
   */
  async exec(pod: string, argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const { command, env } = await this.#enter(pod, argv);
    return run(command, { ...options, env: { ...env, ...options.env } });
  }

  /** Starts a command in a pod; the caller ends it, or the end of the cluster does. */
  async spawn(
    pod: string,
    argv: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<ChildProcessWithoutNullStreams> {
    const entered = await this.#enter(pod, argv);
    const [file = "", ...args] = entered.command;
    const child = spawn(file, args, { env: { ...entered.env, ...env } });
    await once(child, "spawn");
    return child;
  }

  /** Runs a command of this machine, with its files, in a pod's network. */
  async inPodNetns(
    pod: string,
    argv: readonly string[],
    options: RunOptions = {},
  ): Promise<RunResult> {
    return run(await this.podNetnsArgv(pod, argv), options);
  }

  /**
   * Runs a command of this machine in a node's network; `fabric` is the network between the nodes.
   */
  async inNodeNetns(
    node: string,
    argv: readonly string[],
    options: RunOptions = {},
  ): Promise<RunResult> {
    return run(await this.nodeNetnsArgv(node, argv), options);
  }

  /** The command line for `inPodNetns`, to be spawned by the caller. */
  async podNetnsArgv(pod: string, argv: readonly string[]): Promise<readonly string[]> {
    return enterNetns({ proc: this.#proc, pid: (await this.#access(pod)).pid }, this.initPid, argv);
  }

  /** The command line for `inNodeNetns`, to be spawned by the caller. */
  async nodeNetnsArgv(node: string, argv: readonly string[]): Promise<readonly string[]> {
    return enterNetns({ proc: this.#proc, pid: await this.#nodePid(node) }, this.initPid, argv);
  }

  /** A path to a pod's network namespace, for `Syscalls.openNetns`. */
  async podNetns(pod: string): Promise<string> {
    return `${this.#proc}/${(await this.#access(pod)).pid}/ns/net`;
  }

  /** A path to a node's network namespace; `fabric` is the one between the nodes. */
  async nodeNetns(node: string): Promise<string> {
    return `${this.#proc}/${await this.#nodePid(node)}/ns/net`;
  }

  /** What a container wrote; the first container's unless said otherwise. */
  async logs(pod: string, container?: string): Promise<string> {
    const { containers } = (await this.#access(pod)).access;
    const found = containers.find(({ name }) => name === (container ?? containers[0]?.name));
    if (found === undefined) throw new Error(`pod ${pod} has no container ${container}`);
    return readFile(this.client.outside(found.log), "utf8");
  }

  ztunnel(node: string): ZtunnelProgram {
    return new ZtunnelProgram(this.client, ztunnelName(node), () => this.nodeNetns(node));
  }

  /** A service account token as a pod of this cluster would have it. */
  token(claims: ServiceAccountClaims): Promise<string> {
    return this.client.token(claims);
  }

  get #proc(): string {
    return `/proc/${this.initPid}/root/proc`;
  }

  async #enter(pod: string, argv: readonly string[]) {
    const { access, pid } = await this.#access(pod);
    const [container] = access.containers;
    const target = { proc: this.#proc, pid };
    return {
      command: enterPod(target, argv, container?.workingDir),
      env: container?.env ?? {},
    };
  }

  async #access(reference: string) {
    const { metadata } = await this.pod(reference);
    const access = await this.client.pod(metadata.namespace ?? "default", metadata.name);
    if (access.sandboxPid === undefined) throw new Error(`pod ${reference} does not run`);
    return { access, pid: access.sandboxPid };
  }

  async #nodePid(name: string): Promise<number> {
    if (name === "fabric") return 1;
    const { nodes } = await this.client.info();
    const node = nodes.find((candidate) => candidate.name === name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node.pid;
  }
}

/** One file per object, so that each can be replaced and removed by itself. */
function toFiles(source: string | object): [string, string][] {
  const objects =
    typeof source === "string"
      ? parseAllDocuments(source).map((document) => document.toJS() as unknown)
      : [source as unknown];
  return objects
    .filter((object) => object !== null)
    .map((object) => [fileName(object), JSON.stringify(object)]);
}

function fileName(object: unknown): string {
  const { kind, metadata } = object as Pick<KubernetesObject, "kind" | "metadata">;
  const clusterScoped = kind === "Node" || kind === "Namespace";
  const namespace = clusterScoped ? "_" : (metadata.namespace ?? "default");
  return `${kind}.${namespace}.${metadata.name}.json`;
}
