/** The programs of the mesh in a cluster: istiod-lite on the fabric, a ztunnel on each node. */
import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Pod } from "#common/kubernetes/objects.ts";
import { ISTIOD_DEBUG_PORT } from "#common/model/ports.ts";
import type { ClusterSettings } from "#meshctl/local/cluster-settings.ts";
import type { EventLog } from "#meshctl/local/events.ts";
import { FABRIC_IPS } from "#meshctl/local/network/network-plan.ts";
import type { ClusterNode } from "#meshctl/local/network/node-manager.ts";
import { ISTIO_NAMESPACE } from "#meshctl/local/objects/built-ins.ts";
import type { ClusterPaths } from "#meshctl/local/paths.ts";
import type { TokenIssuer } from "#meshctl/local/token-issuer.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";
import { meshPod } from "./mesh-pod.ts";
import { MeshProcess } from "./mesh-process.ts";
import {
  cniAgentName,
  type NodeProgram,
  nodePrograms,
  rootCertFile,
  ztunnelName,
} from "./node-programs.ts";

/** The name by which people and tests call the control plane. */
export const ISTIOD = "istiod";

const ISTIOD_CONTAINER = "discovery";
const ROOT_CERT_POLL_MS = 10;

export interface MeshProgramsDeps {
  readonly paths: ClusterPaths;
  readonly settings: ClusterSettings;
  readonly sys: Syscalls;
  readonly tokens: TokenIssuer;
  readonly onChange: () => void;
  /** Where it says that a program has ended. */
  readonly events: EventLog;
}

export class MeshPrograms {
  readonly #deps: MeshProgramsDeps;
  readonly #fabricNetns: Netns;
  readonly #istiod: MeshProcess;
  /** The programs of nodes by the names of their pods: ztunnels, and the agents of stock ones. */
  readonly #ofNodes = new Map<string, MeshProcess>();

  constructor(deps: MeshProgramsDeps) {
    this.#deps = deps;
    this.#fabricNetns = deps.sys.openNetns("/proc/self/ns/net");
    this.#istiod = this.#makeIstiod();
  }

  /** The names of those that do not say that they are ready. */
  get unready(): readonly string[] {
    return this.all.filter((p) => !p.ready).map((p) => p.spec.pod.metadata.name);
  }

  find(name: string): MeshProcess | undefined {
    return name === ISTIOD ? this.#istiod : this.#ofNodes.get(name);
  }

  /** All of them, as pods; istiod-lite is not one that the mesh itself has to know. */
  get all(): readonly MeshProcess[] {
    return [this.#istiod, ...this.#ofNodes.values()];
  }

  /**
   * The programs of nodes, as published: istiod-lite gives certificates only to ztunnels that run
   * as pods.
   */
  pods(): readonly Pod[] {
    return [...this.#ofNodes.values()].map((program) => program.view(new Date()));
  }

  start(): void {
    this.#istiod.start();
  }

  /** Starts what is missing and stops what has no node any more. */
  syncNodes(nodes: readonly ClusterNode[]): void {
    const names = new Set(
      nodes.flatMap(({ wiring }) => [ztunnelName(wiring.name), cniAgentName(wiring.name)]),
    );
    for (const [name, program] of this.#ofNodes) {
      if (names.has(name)) continue;
      this.#ofNodes.delete(name);
      void program.stop(0);
    }
    for (const node of nodes) {
      if (!this.#ofNodes.has(ztunnelName(node.wiring.name))) void this.#startOn(node);
    }
  }

  async #startOn(node: ClusterNode): Promise<void> {
    const { paths, settings, tokens } = this.#deps;
    const { name: nodeName } = node.wiring;
    mkdirSync(dirname(paths.zdsSocket(nodeName)), { recursive: true });
    const programs = nodePrograms(settings, paths, node).map((program) => {
      const running = this.#makeOnNode(program, node);
      this.#ofNodes.set(program.pod.metadata.name, running);
      return running;
    });
    const [ztunnel] = programs;
    await tokens.keepToken(ztunnelName(nodeName), {
      namespace: ISTIO_NAMESPACE,
      serviceAccount: "ztunnel",
      podName: ztunnelName(nodeName),
      podUid: ztunnel?.spec.pod.metadata.uid ?? "",
      node: nodeName,
    });
    // Before istiod-lite has made its root there is nothing to trust.
    while (!existsSync(rootCertFile(paths))) await sleep(ROOT_CERT_POLL_MS);
    for (const program of programs) {
      if (this.#ofNodes.get(program.spec.pod.metadata.name) === program) program.start();
    }
  }

  #sayRestart(name: string, message: string): void {
    const hint = `meshctl logs ${name} -n ${ISTIO_NAMESPACE} --previous`;
    this.#deps.events.emit({ kind: "problem", text: `${name} ${message}`, hint });
  }

  #makeIstiod(): MeshProcess {
    const { paths, settings, sys, tokens, onChange } = this.#deps;
    const args = [
      ...["--source", `folder:${paths.objects}`, "--overlay", paths.overlay],
      ...["--owned", paths.owned],
      ...["--ca-dir", paths.ca, "--token-jwks", tokens.jwksFile],
    ];
    const pod = meshPod({
      name: ISTIOD,
      app: "istiod",
      container: ISTIOD_CONTAINER,
      image: "istio/pilot",
      args,
      readinessProbe: { httpGet: { path: "/healthz/ready", port: ISTIOD_DEBUG_PORT } },
    });
    return new MeshProcess({
      pod,
      env: {},
      settings: settings.istiod ?? {},
      netnsPid: process.pid,
      netns: this.#fabricNetns,
      sys,
      ips: FABRIC_IPS,
      log: paths.containerLog(ISTIO_NAMESPACE, ISTIOD, ISTIOD_CONTAINER),
      onChange,
      onRestart: (name, message) => this.#sayRestart(name, message),
    });
  }

  #makeOnNode(program: NodeProgram, node: ClusterNode): MeshProcess {
    const { pod, container, env, settings, notifies } = program;
    const { paths, sys, onChange } = this.#deps;
    const { wiring, netns } = node;
    return new MeshProcess({
      pod,
      env,
      settings,
      netnsPid: wiring.pid,
      netns,
      sys,
      ips: wiring.ips,
      log: paths.containerLog(ISTIO_NAMESPACE, pod.metadata.name, container),
      notifies,
      onChange,
      onRestart: (name, message) => this.#sayRestart(name, message),
    });
  }
}
