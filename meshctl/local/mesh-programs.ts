/** The programs of the mesh in a cluster: istiod-lite on the fabric, a ztunnel on each node. */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Pod, Probe } from "#common/kubernetes/objects.ts";
import { ISTIOD_DEBUG_PORT, ISTIOD_XDS_PORT, READINESS_PORT } from "#common/model/ports.ts";
import { ISTIO_NAMESPACE } from "#meshctl/local/built-in-objects.ts";
import type { ClusterSettings } from "#meshctl/local/cluster-settings.ts";
import { MeshProcess } from "#meshctl/local/mesh-process.ts";
import { FABRIC_IPS } from "#meshctl/local/network-plan.ts";
import type { ClusterNode } from "#meshctl/local/node-manager.ts";
import type { ClusterPaths } from "#meshctl/local/paths.ts";
import type { TokenIssuer } from "#meshctl/local/token-issuer.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";

/** The names by which people and tests call the programs. */
export const ISTIOD = "istiod";
export const ztunnelName = (node: string): string => `ztunnel-${node}`;

const ISTIOD_HOSTNAME = "istiod.istio-system.svc";
const ZTUNNEL_CONTAINER = "istio-proxy";
const ISTIOD_CONTAINER = "discovery";
const ROOT_CERT_POLL_MS = 10;

export interface MeshProgramsDeps {
  readonly paths: ClusterPaths;
  readonly settings: ClusterSettings;
  readonly sys: Syscalls;
  readonly tokens: TokenIssuer;
  readonly onChange: () => void;
}

export class MeshPrograms {
  readonly #deps: MeshProgramsDeps;
  readonly #fabricNetns: Netns;
  readonly #istiod: MeshProcess;
  readonly #ztunnels = new Map<string, MeshProcess>();

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
    return name === ISTIOD ? this.#istiod : this.#ztunnels.get(name);
  }

  /** All of them, as pods; istiod-lite is not one that the mesh itself has to know. */
  get all(): readonly MeshProcess[] {
    return [this.#istiod, ...this.#ztunnels.values()];
  }

  /**
   * The ztunnels, as published: istiod-lite gives certificates only to ztunnels that run as pods.
   */
  pods(): readonly Pod[] {
    return [...this.#ztunnels.values()].map((ztunnel) => ztunnel.view(new Date()));
  }

  start(): void {
    this.#istiod.start();
  }

  /** Starts what is missing and stops what has no node any more. */
  syncNodes(nodes: readonly ClusterNode[]): void {
    const names = new Set(nodes.map((node) => ztunnelName(node.wiring.name)));
    for (const [name, ztunnel] of this.#ztunnels) {
      if (names.has(name)) continue;
      this.#ztunnels.delete(name);
      void ztunnel.stop(0);
    }
    for (const node of nodes) {
      const name = ztunnelName(node.wiring.name);
      if (this.#ztunnels.has(name)) continue;
      const ztunnel = this.#makeZtunnel(name, node);
      this.#ztunnels.set(name, ztunnel);
      void this.#startZtunnel(name, ztunnel, node);
    }
  }

  async #startZtunnel(name: string, ztunnel: MeshProcess, node: ClusterNode): Promise<void> {
    const { pod } = ztunnel.spec;
    await this.#deps.tokens.keepToken(name, {
      namespace: ISTIO_NAMESPACE,
      serviceAccount: "ztunnel",
      podName: name,
      podUid: pod.metadata.uid ?? "",
      node: node.wiring.name,
    });
    // Before istiod-lite has made its root there is nothing to trust.
    while (!existsSync(this.#rootCert)) await sleep(ROOT_CERT_POLL_MS);
    if (this.#ztunnels.get(name) === ztunnel) ztunnel.start();
  }

  get #rootCert(): string {
    return join(this.#deps.paths.ca, "root-cert.pem");
  }

  #makeIstiod(): MeshProcess {
    const { paths, settings, sys, tokens, onChange } = this.#deps;
    const args = [
      ...["--source", `folder:${paths.objects}`, "--overlay", paths.overlay],
      ...["--ca-dir", paths.ca, "--token-jwks", tokens.jwksFile],
    ];
    return new MeshProcess({
      pod: meshPod(ISTIOD, "istiod", ISTIOD_CONTAINER, "istio/pilot", undefined, args, {
        httpGet: { path: "/healthz/ready", port: ISTIOD_DEBUG_PORT },
      }),
      env: {},
      settings: settings.istiod ?? {},
      netnsPid: process.pid,
      netns: this.#fabricNetns,
      sys,
      ips: FABRIC_IPS,
      log: paths.containerLog(ISTIO_NAMESPACE, ISTIOD, ISTIOD_CONTAINER),
      onChange,
    });
  }

  #makeZtunnel(name: string, node: ClusterNode): MeshProcess {
    const { paths, settings, sys, onChange } = this.#deps;
    const { wiring, netns } = node;
    return new MeshProcess({
      pod: meshPod(
        name,
        "ztunnel",
        ZTUNNEL_CONTAINER,
        "istio/ztunnel",
        wiring.name,
        ["proxy", "ztunnel"],
        {
          httpGet: { path: "/healthz/ready", port: READINESS_PORT },
        },
      ),
      env: this.#ztunnelEnv(name, node),
      settings: settings.ztunnel ?? {},
      netnsPid: wiring.pid,
      netns,
      sys,
      ips: wiring.ips,
      log: paths.containerLog(ISTIO_NAMESPACE, name, ZTUNNEL_CONTAINER),
      onChange,
    });
  }

  #ztunnelEnv(name: string, node: ClusterNode): Record<string, string> {
    const { paths } = this.#deps;
    const { name: nodeName, ips } = node.wiring;
    const istiod = `https://${FABRIC_IPS[0]}:${ISTIOD_XDS_PORT}`;
    return {
      NODE_NAME: nodeName,
      INSTANCE_IP: ips[0] ?? "",
      POD_NAME: name,
      POD_NAMESPACE: ISTIO_NAMESPACE,
      CLUSTER_ID: "Kubernetes",
      XDS_ADDRESS: istiod,
      CA_ADDRESS: istiod,
      ALT_XDS_HOSTNAME: ISTIOD_HOSTNAME,
      ALT_CA_HOSTNAME: ISTIOD_HOSTNAME,
      XDS_ROOT_CA: this.#rootCert,
      CA_ROOT_CA: this.#rootCert,
      TOKEN_PATH: paths.token(name),
      POD_SANDBOXES_DIR: paths.sandboxes(nodeName),
      LOG_FORMAT: "text",
    };
  }
}

/** A pod of the mesh as a real cluster would show it. */
function meshPod(
  name: string,
  app: string,
  container: string,
  image: string,
  nodeName: string | undefined,
  args: readonly string[],
  readinessProbe: Probe,
): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: ISTIO_NAMESPACE,
      uid: randomUUID(),
      creationTimestamp: new Date().toISOString(),
      labels: { app },
    },
    spec: {
      ...(nodeName === undefined ? {} : { nodeName }),
      hostNetwork: true,
      serviceAccountName: app,
      containers: [
        { name: container, image, args, readinessProbe: { ...readinessProbe, periodSeconds: 1 } },
      ],
    },
  };
}
