/**
 * The namespace cluster: what the folder wants is compared with what there is, step by step, until
 * both agree. Everything an API server and its controllers do between a user's YAML and the mesh
 * happens here.
 */
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { diffObjects } from "#common/kubernetes/diff-objects.ts";
import { formatProblem } from "#common/kubernetes/format-problem.ts";
import type { LoadResult } from "#common/kubernetes/load-result.ts";
import {
  type ConfigMap,
  type EndpointSlice,
  type KubernetesKind,
  type KubernetesObject,
  type KubeService,
  objectKey,
  type Pod,
} from "#common/kubernetes/objects.ts";
import { describeError } from "#common/runtime/errors.ts";
import { DnsServer } from "#meshctl/local/dns/server.ts";
import { buildZone } from "#meshctl/local/dns/zone.ts";
import { asksForCapture, isCaptured } from "#meshctl/local/mesh/capture-gate.ts";
import { rootCertFile } from "#meshctl/local/mesh/node-programs.ts";
import { Fabric } from "#meshctl/local/network/fabric.ts";
import { FABRIC_IPS } from "#meshctl/local/network/network-plan.ts";
import { type ClusterNode, NodeManager } from "#meshctl/local/network/node-manager.ts";
import { DNS_SERVICE_IP, withBuiltIns } from "#meshctl/local/objects/built-ins.ts";
import { describeChange } from "#meshctl/local/objects/describe-change.ts";
import { Publisher } from "#meshctl/local/objects/publisher.ts";
import { ObjectStore } from "#meshctl/local/objects/store.ts";
import { machineMounts } from "#meshctl/local/pod/machine-mounts.ts";
import { PodManager } from "#meshctl/local/pod/pod-manager.ts";
import { ServiceAddresses } from "#meshctl/local/services/addresses.ts";
import { slicesOf } from "#meshctl/local/services/endpoints.ts";
import { serviceRules } from "#meshctl/local/services/rules.ts";
import { createLinuxSyscalls } from "#ztunnel/sys/linux.ts";
import type { EventLog } from "./events.ts";
import { POD_RETRY_MS } from "./limits.ts";
import type { ClusterPaths } from "./paths.ts";
import type { TokenIssuer } from "./token-issuer.ts";

export interface ClusterOptions {
  readonly paths: ClusterPaths;
  readonly events: EventLog;
  /** Whether istiod-lite and the ztunnels belong to this cluster. */
  readonly mesh: boolean;
  /** Pods of the mesh begin only once their traffic is captured. */
  readonly failClosed: boolean;
  /** Signs what pods show to others. */
  readonly tokens: Pick<TokenIssuer, "sign">;
  /** Pods that something else runs (the ztunnels), as they are published. */
  readonly extraPods: (nodes: readonly ClusterNode[]) => readonly Pod[];
  /** Called after every step with the nodes there are. */
  readonly onNodes: (nodes: readonly ClusterNode[]) => void;
}

export class Cluster {
  readonly #options: ClusterOptions;
  readonly #fabric = new Fabric();
  readonly #sys = createLinuxSyscalls();
  readonly #nodes = new NodeManager(this.#fabric, this.#sys);
  readonly #store = new ObjectStore({ newUid: randomUUID, now: () => new Date() });
  readonly #addresses = new ServiceAddresses();
  readonly #dns = new DnsServer();
  readonly publisher: Publisher;
  readonly pods: PodManager;
  /** Of the folder, and what istiod-lite wants beside it. */
  #wanted: readonly KubernetesObject[] = [];
  #owned: readonly KubernetesObject[] = [];
  #folderSeen = false;
  #problems: ReadonlySet<string> = new Set();
  /** Why the last comparison was not finished; said once. */
  #failure: string | undefined;
  #leaving: readonly ClusterNode[] = [];
  #dirty = false;
  #running: Promise<void> | undefined;

  constructor(options: ClusterOptions) {
    this.#options = options;
    const { paths } = options;
    this.publisher = new Publisher(paths.objects, paths.overlay);
    this.pods = new PodManager({
      nodes: () => this.#nodes.nodes,
      configMap: (namespace, name) => this.#configMap(namespace, name),
      tokens: options.tokens,
      sys: this.#sys,
      paths,
      dnsIp: DNS_SERVICE_IP,
      machineMounts: machineMounts(readFileSync("/proc/self/mountinfo", "utf8")),
      mayBegin: (pod) => this.#mayBegin(pod),
      onChange: () => this.requestReconcile(),
      say: (text) => options.events.emit({ kind: "change", text }),
    });
  }

  get nodes(): readonly ClusterNode[] {
    return this.#nodes.nodes;
  }

  /** What is wrong with the folder now, one formatted line each. */
  get problems(): readonly string[] {
    return [...this.#problems];
  }

  /** Makes the fabric and starts DNS; the first folder brings the rest. */
  async start(): Promise<void> {
    await this.#fabric.start();
    await this.#dns.listen(FABRIC_IPS);
  }

  /** A new content of the folder. What it says differs is said to people, and then made so. */
  setFolder(result: LoadResult): void {
    const { events } = this.#options;
    const first = !this.#folderSeen;
    this.#folderSeen = true;
    const objects = result.objects.map((loaded) => loaded.object);
    if (!first) this.#sayChanges(objects);
    const lines = new Set(result.problems.map(formatProblem));
    for (const line of lines) {
      if (!this.#problems.has(line)) events.emit({ kind: "problem", text: line });
    }
    if (this.#problems.size > 0 && lines.size === 0) {
      events.emit({ kind: "change", text: "the folder has no problems any more" });
    }
    this.#problems = lines;
    const configMaps = (list: readonly KubernetesObject[]) => list.filter(isKind("ConfigMap"));
    const volumesChanged = diffObjects(configMaps(this.#wanted), configMaps(objects)).length > 0;
    this.#wanted = objects;
    if (volumesChanged && !first) this.pods.refreshVolumes();
    this.requestReconcile();
  }

  /** What istiod-lite wants to run now. An object of the folder of the same name wins. */
  setOwned({ objects }: LoadResult): void {
    this.#owned = objects.map(({ object }) => object);
    this.requestReconcile();
  }

  /**
   * Something may be different: compare and act soon. Not before the folder has been seen: nodes
   * that were made without it would keep addresses that it does not give them.
   */
  requestReconcile(): void {
    if (!this.#folderSeen) return;
    this.#dirty = true;
    this.#running ??= this.#run();
  }

  /** Resolves when nothing is left to compare. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#dirty) {
      // What changes in one turn of the event loop is looked at once.
      await new Promise((resolve) => setImmediate(resolve));
      this.#dirty = false;
      try {
        await this.#reconcile();
        this.#failure = undefined;
      } catch (error) {
        this.#retry(describeError(error));
      }
    }
    this.#running = undefined;
  }

  /** What could not be done stays wanted: a policy that was not written is not in force. */
  #retry(failure: string): void {
    if (failure !== this.#failure) {
      const hint = "changes wait until it works; it is tried again every second";
      this.#options.events.emit({ kind: "problem", text: failure, hint });
    }
    this.#failure = failure;
    setTimeout(() => this.requestReconcile(), POD_RETRY_MS);
  }

  async #reconcile(): Promise<void> {
    const { mesh, extraPods, onNodes } = this.#options;
    const objects = withBuiltIns(this.#all(), mesh, this.#rootCert());
    this.#leaving = [...this.#leaving, ...(await this.#nodes.sync(objects.filter(isKind("Node"))))];
    onNodes(this.nodes);
    const deployments = objects.filter(isKind("Deployment"));
    this.pods.sync(objects.filter(isKind("Pod")), deployments);
    const pods = [...this.pods.pods(new Date()), ...extraPods(this.nodes)];
    const services = this.#completeServices(objects.filter(isKind("Service")));
    const slices = [
      ...objects.filter(isKind("EndpointSlice")),
      ...services.flatMap((service) => slicesOf(service, pods)),
    ];
    this.#dns.zone = buildZone(services, slices);
    const rest = objects.filter(
      ({ kind }) => !["Node", "Pod", "Service", "EndpointSlice"].includes(kind),
    );
    const nodes = this.nodes.map((node) => node.object);
    await this.#publish([...nodes, ...rest, ...pods, ...services, ...slices]);
    await this.#translate(services, slices);
    await this.#removeLeavingNodes(pods);
  }

  #completeServices(services: readonly KubeService[]): readonly KubeService[] {
    this.#addresses.keep(services);
    return services.flatMap((service) => {
      const completed = this.#addresses.complete(service);
      if (typeof completed !== "string") return [completed];
      const { namespace, name } = service.metadata;
      const text = `Service ${namespace}/${name}: ${completed}`;
      this.#options.events.emit({ kind: "problem", text });
      return [];
    });
  }

  async #publish(objects: readonly KubernetesObject[]): Promise<void> {
    this.#store.keep(new Set(objects.map(objectKey)));
    await this.publisher.publish(objects.map((object) => this.#store.stamp(object)));
  }

  async #translate(
    services: readonly KubeService[],
    slices: readonly EndpointSlice[],
  ): Promise<void> {
    await Promise.all(
      this.nodes.map((node) =>
        this.#nodes.applyRules(node, serviceRules(node.wiring.name, services, slices)),
      ),
    );
  }

  async #removeLeavingNodes(pods: readonly Pod[]): Promise<void> {
    const isEmpty = ({ wiring }: ClusterNode) => !pods.some((p) => p.spec.nodeName === wiring.name);
    for (const node of this.#leaving.filter(isEmpty)) await this.#nodes.remove(node);
    this.#leaving = this.#leaving.filter((node) => !isEmpty(node));
  }

  #sayChanges(objects: readonly KubernetesObject[]): void {
    const before = new Map(this.#wanted.map((object) => [objectKey(object), object]));
    for (const { key, object } of diffObjects(this.#wanted, objects)) {
      const text = describeChange(before.get(key), object);
      this.#options.events.emit({ kind: "change", text });
    }
  }

  #all(): readonly KubernetesObject[] {
    const declared = new Set(this.#wanted.map(objectKey));
    return [...this.#wanted, ...this.#owned.filter((object) => !declared.has(objectKey(object)))];
  }

  /** What istiod-lite signs with; pods get it in a ConfigMap. Undefined until there is one. */
  #rootCert(): string | undefined {
    const file = rootCertFile(this.#options.paths);
    if (!this.#options.mesh || !existsSync(file)) return undefined;
    return readFileSync(file, "utf8");
  }

  async #mayBegin(pod: Pod): Promise<boolean> {
    if (!this.#options.failClosed) return true;
    const namespace = this.#wanted
      .filter(isKind("Namespace"))
      .find(({ metadata }) => metadata.name === pod.metadata.namespace);
    return !asksForCapture(pod, namespace) || isCaptured(await this.publisher.overlay(pod));
  }

  #configMap(namespace: string, name: string): ConfigMap | undefined {
    const { mesh } = this.#options;
    return withBuiltIns(this.#all(), mesh, this.#rootCert())
      .filter(isKind("ConfigMap"))
      .find(
        ({ metadata }) => metadata.name === name && (metadata.namespace ?? "default") === namespace,
      );
  }
}

function isKind<Kind extends KubernetesKind>(kind: Kind) {
  return (object: KubernetesObject): object is Extract<KubernetesObject, { kind: Kind }> =>
    object.kind === kind;
}
