/**
 * Makes the pods that there should be: Deployments' and the folder's own, on nodes, with addresses.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { ConfigMap, Deployment, Pod } from "#common/kubernetes/objects.ts";
import { isReady } from "#common/kubernetes/pod-readiness.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { Semaphore } from "#common/runtime/semaphore.ts";
import { CONCURRENT_POD_STARTS, POD_RETRY_MS } from "#meshctl/local/limits.ts";
import type { ClusterNode } from "#meshctl/local/network/node-manager.ts";
import type { ClusterPaths } from "#meshctl/local/paths.ts";
import type { TokenIssuer } from "#meshctl/local/token-issuer.ts";
import type { Syscalls } from "#ztunnel/sys/syscalls.ts";
import {
  type OwnedPod,
  POD_TEMPLATE_HASH_LABEL,
  planPods,
  podFromTemplate,
  podNameSuffix,
  templateHash,
} from "./deployments.ts";
import {
  isTerminating,
  newPodEntry,
  type PodEntry,
  podIps,
  podKey,
  standingOf,
  viewOf,
} from "./pod-entry.ts";
import { PodRuntime } from "./pod-runtime.ts";
import { chooseNode } from "./scheduler.ts";
import type { PodStatus } from "./status.ts";

export interface PodManagerDeps {
  readonly nodes: () => readonly ClusterNode[];
  readonly configMap: (namespace: string, name: string) => ConfigMap | undefined;
  readonly tokens: Pick<TokenIssuer, "sign">;
  readonly sys: Syscalls;
  readonly paths: ClusterPaths;
  readonly dnsIp: IpAddress;
  readonly machineMounts: readonly string[];
  readonly mayBegin: (pod: Pod) => Promise<boolean>;
  /** A pod's status changed, or a pod is gone. */
  readonly onChange: () => void;
  readonly say: (line: string) => void;
}

export class PodManager {
  readonly #deps: PodManagerDeps;
  readonly #entries = new Map<string, PodEntry>();
  /** Pods of the folder that were deleted by hand, as they were: gone until their file changes. */
  readonly #deleted = new Map<string, Pod>();
  readonly #starting = new Semaphore(CONCURRENT_POD_STARTS);
  #order = 0;

  constructor(deps: PodManagerDeps) {
    this.#deps = deps;
  }

  /** One step towards what is wanted; to be called again after each `onChange`. */
  sync(bare: readonly Pod[], deployments: readonly Deployment[]): void {
    this.#syncBare(new Map(bare.map((pod) => [podKey(pod), pod])));
    const owners = new Set(deployments.map(podKey));
    for (const [key, entry] of this.#entries) {
      const nodeGone = entry.node !== undefined && !this.#deps.nodes().includes(entry.node);
      const orphan = entry.owner !== undefined && !owners.has(entry.owner);
      if (nodeGone || orphan) this.#terminate(key, entry, nodeGone ? 0 : undefined);
    }
    for (const deployment of deployments) this.#syncDeployment(deployment);
    for (const [key, entry] of this.#entries) {
      if (!isTerminating(entry) && entry.runtime === undefined) this.#place(key, entry);
    }
  }

  /** Every pod there is, as the API server would show it. */
  pods(now: Date): readonly Pod[] {
    return [...this.#entries.values()].map((entry) => this.#view(entry, now));
  }

  runtime(namespace: string, name: string): PodRuntime | undefined {
    return this.#entries.get(`${namespace}/${name}`)?.runtime;
  }

  /** Deletes a pod by hand. False if there is none of that name. */
  delete(namespace: string, name: string, graceSeconds?: number): boolean {
    const key = `${namespace}/${name}`;
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    if (entry.owner === undefined) this.#deleted.set(key, entry.source);
    this.#terminate(key, entry, graceSeconds);
    return true;
  }

  /** ConfigMaps changed: running pods get the new content. */
  refreshVolumes(): void {
    for (const { runtime } of this.#entries.values()) {
      void runtime?.refreshVolumes();
    }
  }

  #syncBare(wanted: ReadonlyMap<string, Pod>): void {
    for (const [key, source] of this.#deleted) {
      if (!isDeepStrictEqual(wanted.get(key), source)) this.#deleted.delete(key);
    }
    for (const [key, entry] of this.#entries) {
      if (entry.owner !== undefined) continue;
      const pod = wanted.get(key);
      if (pod === undefined || !isDeepStrictEqual(pod.spec, entry.source.spec)) {
        this.#terminate(key, entry);
      } else this.#relabel(entry, pod);
    }
    for (const [key, pod] of wanted) {
      if (!this.#entries.has(key) && !this.#deleted.has(key)) this.#add(key, pod, undefined);
    }
  }

  #relabel(entry: PodEntry, pod: Pod): void {
    if (isDeepStrictEqual(entry.source.metadata, pod.metadata)) return;
    entry.source = pod;
    const { uid, creationTimestamp } = entry.pod.metadata;
    entry.pod = {
      ...entry.pod,
      metadata: {
        ...pod.metadata,
        ...(uid === undefined ? {} : { uid }),
        ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
      },
    };
    entry.runtime?.updateMetadata(entry.pod.metadata);
  }

  #syncDeployment(deployment: Deployment): void {
    const owner = podKey(deployment);
    const hash = templateHash(deployment);
    const owned = [...this.#entries.values()].filter(
      (entry) => entry.owner === owner && !isTerminating(entry),
    );
    const plan = planPods(
      deployment.spec.replicas ?? 1,
      hash,
      owned.map((e) => this.#owned(e)),
    );
    for (const name of plan.remove) {
      const key = `${deployment.metadata.namespace ?? "default"}/${name}`;
      const entry = this.#entries.get(key);
      if (entry !== undefined) this.#terminate(key, entry);
    }
    for (let i = 0; i < plan.create; i++) {
      const pod = podFromTemplate(deployment, hash, podNameSuffix(randomBytes(8)));
      this.#add(podKey(pod), pod, owner);
    }
  }

  #owned(entry: PodEntry): OwnedPod {
    const { name, labels } = entry.pod.metadata;
    const ready = isReady(this.#view(entry, new Date()));
    return {
      name,
      templateHash: labels?.[POD_TEMPLATE_HASH_LABEL] ?? "",
      ready,
      order: entry.order,
    };
  }

  #add(key: string, source: Pod, owner: string | undefined): void {
    this.#entries.set(key, newPodEntry(source, randomUUID(), this.#order++, owner));
  }

  #place(key: string, entry: PodEntry): void {
    const nodes = this.#deps.nodes();
    const counts = new Map<ClusterNode, number>();
    for (const { node } of this.#entries.values()) {
      if (node !== undefined) counts.set(node, (counts.get(node) ?? 0) + 1);
    }
    const choice = chooseNode(
      entry.pod,
      nodes.map((node) => ({
        name: node.wiring.name,
        labels: node.labels,
        podCount: counts.get(node) ?? 0,
      })),
    );
    if (typeof choice === "string") {
      this.#wait(key, entry, choice);
      return;
    }
    const node = nodes.find((candidate) => candidate.wiring.name === choice.name);
    const ips = node === undefined ? "no node" : podIps(entry.pod, node);
    if (node === undefined || typeof ips === "string") {
      this.#wait(key, entry, String(ips));
      return;
    }
    entry.node = node;
    entry.ips = ips;
    entry.waiting = "";
    entry.pod = { ...entry.pod, spec: { ...entry.pod.spec, nodeName: node.wiring.name } };
    entry.runtime = this.#makeRuntime(entry, node);
    this.#start(entry.runtime);
  }

  #wait(key: string, entry: PodEntry, why: string): void {
    if (entry.waiting !== why) this.#deps.say(`pod ${key}: ${why}`);
    entry.waiting = why;
  }

  #makeRuntime(entry: PodEntry, node: ClusterNode): PodRuntime {
    const { sys, paths, dnsIp, machineMounts, mayBegin, configMap, tokens } = this.#deps;
    const { uid = "", namespace = "default" } = entry.pod.metadata;
    const place = {
      node: node.wiring,
      nodeNetns: node.netns,
      sys,
      ips: entry.ips,
      dnsIp,
      paths,
      machineMounts,
      mayBegin,
      configMap: (name: string) => configMap(namespace, name),
      tokens,
    };
    return new PodRuntime(entry.pod, uid, place, this.#deps.onChange);
  }

  #start(runtime: PodRuntime): void {
    void this.#starting
      .run(() => runtime.prepare())
      .then(() => runtime.begin())
      .then(() => {
        this.#deps.onChange();
        if (runtime.startFailed) setTimeout(() => this.#start(runtime), POD_RETRY_MS);
      });
  }

  #terminate(key: string, entry: PodEntry, graceSeconds?: number): void {
    if (isTerminating(entry)) return;
    const deletionTimestamp = new Date().toISOString();
    entry.pod = { ...entry.pod, metadata: { ...entry.pod.metadata, deletionTimestamp } };
    void (async () => {
      await entry.runtime?.stop(graceSeconds);
      if (entry.pod.spec.hostNetwork !== true) entry.node?.pool.release(entry.ips);
      this.#entries.delete(key);
      this.#deps.say(`pod ${key} is gone`);
      this.#deps.onChange();
    })();
  }

  #view(entry: PodEntry, now: Date): Pod {
    const pod = viewOf(entry, now);
    this.#sayPhase(entry, pod.status);
    return pod;
  }

  #sayPhase(entry: PodEntry, status: PodStatus): void {
    const standing = standingOf(status);
    if (entry.lastStanding === standing || isTerminating(entry)) return;
    entry.lastStanding = standing;
    if (standing === "pending") return;
    const where = entry.node === undefined ? "" : ` on ${entry.node.wiring.name}`;
    const { namespace, name } = entry.pod.metadata;
    this.#deps.say(`pod ${namespace}/${name} is ${standing}${where} (${entry.ips.join(", ")})`);
  }
}
