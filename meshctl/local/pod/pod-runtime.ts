/** One pod on its node: sandbox, containers, status; what a kubelet does. */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConfigMap, Container, Pod } from "#common/kubernetes/objects.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { describeError } from "#common/runtime/errors.ts";
import {
  brokenImage,
  ContainerRuntime,
  type ContainerView,
} from "#meshctl/local/container/container-runtime.ts";
import { containerEnv, expand, fieldValue, type PodFacts } from "#meshctl/local/container/env.ts";
import { containerArgv } from "#meshctl/local/container/images.ts";
import {
  CAPTURE_POLL_MS,
  CONTAINER_BACKOFF_INITIAL_MS,
  CONTAINER_BACKOFF_MAX_MS,
  TERMINATION_GRACE_SECONDS,
} from "#meshctl/local/limits.ts";
import type { FabricNode } from "#meshctl/local/network/fabric.ts";
import { podPort } from "#meshctl/local/network/network-plan.ts";
import type { ClusterPaths } from "#meshctl/local/paths.ts";
import type { TokenIssuer } from "#meshctl/local/token-issuer.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";
import { enterPod } from "./enter.ts";
import { nameFiles, podHostname } from "./name-files.ts";
import { type Sandbox, startSandbox } from "./sandbox.ts";
import { type PodStatus, podStatus } from "./status.ts";
import {
  tokenClaims,
  tokenRefreshMs,
  type VolumeContents,
  volumeBinds,
  writeVolumes,
} from "./volumes.ts";

/** What a pod needs of its surroundings. */
export interface PodPlace {
  readonly node: FabricNode;
  readonly nodeNetns: Netns;
  readonly sys: Syscalls;
  readonly ips: readonly IpAddress[];
  readonly dnsIp: IpAddress;
  readonly paths: ClusterPaths;
  readonly machineMounts: readonly string[];
  readonly configMap: (name: string) => ConfigMap | undefined;
  readonly tokens: Pick<TokenIssuer, "sign">;
  /**
   * Whether the pod's programs may begin: not before the mesh has its traffic, if it is to have it.
   */
  readonly mayBegin: (pod: Pod) => Promise<boolean>;
}

type Blocked = { readonly reason: string; readonly message: string };

export class PodRuntime {
  readonly uid: string;
  readonly place: PodPlace;
  #pod: Pod;
  readonly #onChange: () => void;
  #sandbox: Sandbox | undefined;
  #containers: ContainerRuntime[] = [];
  #broken: readonly ContainerView[] = [];
  #blocked: Blocked | undefined = { reason: "ContainerCreating", message: "starting" };
  #startTime: Date | undefined;
  #status: PodStatus | undefined;
  #stopping = false;
  #preparation: Promise<void> | undefined;
  #tokenTimer: NodeJS.Timeout | undefined;

  constructor(pod: Pod, uid: string, place: PodPlace, onChange: () => void) {
    this.#pod = pod;
    this.uid = uid;
    this.place = place;
    this.#onChange = onChange;
  }

  /** The pod's first process, as seen by the cluster's init. */
  get sandboxPid(): number | undefined {
    return this.#sandbox?.pid;
  }

  /** New labels and annotations; the spec of a running pod does not change. */
  updateMetadata(metadata: Pod["metadata"]): void {
    this.#pod = { ...this.#pod, metadata };
  }

  /** Makes the pod's network and files. Never throws: what goes wrong is in the status. */
  async prepare(): Promise<void> {
    if (this.#stopping) return;
    this.#preparation = this.#prepare();
    await this.#preparation;
  }

  async #prepare(): Promise<void> {
    this.#startTime ??= new Date();
    const { pod } = this;
    const dir = this.#dir;
    try {
      const missing = await writeVolumes(pod, dir, this.#volumeContents);
      if (missing.length > 0) {
        return this.#block("ContainerCreating", `ConfigMap ${missing.join(", ")} does not exist`);
      }
      const sandbox = await startSandbox(this.#sandboxSpec());
      if (this.#stopping) return await sandbox.destroy();
      this.#sandbox = sandbox;
      this.#keepTokens();
      await this.#announceSandbox(sandbox);
      this.#onChange();
    } catch (error) {
      this.#block("FailedCreatePodSandBox", describeError(error));
    }
  }

  /**
   * Starts the containers of a pod that was prepared, once they may begin. A pod whose traffic
   * nobody captures waits rather than runs open, as with Istio's CNI plugin.
   */
  async begin(): Promise<void> {
    const sandbox = this.#sandbox;
    if (sandbox === undefined) return;
    while (!(await this.place.mayBegin(this.#pod))) {
      if (this.#stopping) return;
      const message = `waiting for ztunnel on ${this.place.node.name} to capture its traffic`;
      if (this.#blocked?.message !== message) this.#block("ContainerCreating", message);
      await sleep(CAPTURE_POLL_MS);
    }
    if (this.#stopping) return;
    this.#blocked = undefined;
    this.#startContainers(sandbox);
    this.#onChange();
  }

  /** Whether `prepare` gave up on something that may have come since. */
  get startFailed(): boolean {
    return this.#sandbox === undefined && !this.#stopping;
  }

  async refreshVolumes(): Promise<void> {
    if (this.#sandbox !== undefined) await writeVolumes(this.pod, this.#dir, this.#volumeContents);
  }

  /** SIGTERM, the grace period, SIGKILL; then the pod's network and files go. */
  async stop(graceSeconds?: number): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#tokenTimer);
    await this.#preparation;
    const spec = this.#pod.spec.terminationGracePeriodSeconds ?? TERMINATION_GRACE_SECONDS;
    const graceMs = (graceSeconds ?? spec) * 1000;
    await Promise.all(this.#containers.map((container) => container.stop(graceMs)));
    await this.#sandbox?.destroy();
    const { paths, node } = this.place;
    await rm(join(paths.sandboxes(node.name), this.uid), { force: true });
    await rm(this.#dir, { recursive: true, force: true });
  }

  get pod(): Pod {
    return this.#pod;
  }

  /** The main process of a container, as seen by the init; undefined while there is none. */
  containerPid(name: string): number | undefined {
    return this.#containers.find((container) => container.view.name === name)?.pid;
  }

  containerEnv(container: Container): Record<string, string> {
    return containerEnv(container, this.#facts);
  }

  status(now: Date): PodStatus {
    const { ips, node } = this.place;
    const views = [...this.#broken, ...this.#containers.map((container) => container.view)];
    this.#status = podStatus(
      {
        ips: this.#sandbox === undefined ? [] : ips,
        hostIp: node.ips[0],
        startTime: this.#startTime,
        containers: views,
        restartPolicy: this.#pod.spec.restartPolicy ?? "Always",
        blocked: this.#blocked,
        scheduled: true,
      },
      this.#status,
      now,
    );
    return this.#status;
  }

  get #facts(): PodFacts {
    const { node, ips } = this.place;
    return { pod: this.#pod, podIps: ips, hostIp: node.ips[0] ?? "", hostIps: node.ips };
  }

  get #volumeContents(): VolumeContents {
    const { configMap, node, tokens } = this.place;
    const claims = tokenClaims(this.#pod, this.uid, node.name);
    return {
      configMap,
      token: (audience, ttl) => tokens.sign({ ...claims, audiences: [audience] }, ttl),
      field: (path) => fieldValue(path, this.#facts),
    };
  }

  /** Tokens are replaced at half of their lives. */
  #keepTokens(): void {
    const everyMs = tokenRefreshMs(this.#pod);
    const refresh = () => void this.refreshVolumes().catch(() => undefined);
    if (everyMs !== undefined) this.#tokenTimer = setInterval(refresh, everyMs).unref();
  }

  get #dir(): string {
    return this.place.paths.podDir(this.uid);
  }

  #block(reason: string, message: string): void {
    this.#blocked = { reason, message };
    this.#onChange();
  }

  #sandboxSpec() {
    const { node, ips, dnsIp, machineMounts } = this.place;
    const pod = this.#pod;
    const common = {
      dir: this.#dir,
      nodePid: node.pid,
      binds: volumeBinds(pod, this.#dir),
      machineMounts,
    };
    if (pod.spec.hostNetwork === true) return { ...common, hostname: node.name, files: {} };
    return {
      ...common,
      hostname: podHostname(pod),
      files: nameFiles(pod, ips, dnsIp),
      wiring: {
        port: podPort(this.uid),
        nodeNetns: `/proc/${node.pid}/ns/net`,
        ips,
        podCidrs: node.podCidrs,
      },
    };
  }

  /** Tells the node's ztunnel which process holds the pod's network. */
  async #announceSandbox(sandbox: Sandbox): Promise<void> {
    if (this.#pod.spec.hostNetwork === true) return;
    const { paths, node } = this.place;
    await mkdir(paths.sandboxes(node.name), { recursive: true });
    await writeFile(join(paths.sandboxes(node.name), this.uid), `${sandbox.pid}\n`);
  }

  #startContainers(sandbox: Sandbox): void {
    const runnable = this.#pod.spec.containers.flatMap((container) => {
      const argv = containerArgv(container);
      if (argv !== undefined) return [{ container, argv }];
      this.#broken = [...this.#broken, brokenImage(container)];
      return [];
    });
    this.#containers = runnable.map(({ container, argv }) =>
      this.#makeContainer(sandbox, container, argv),
    );
    for (const container of this.#containers) container.start();
  }

  #makeContainer(sandbox: Sandbox, container: Container, argv: readonly string[]) {
    const { node, ips, paths, sys, nodeNetns } = this.place;
    const { metadata, spec } = this.#pod;
    const env = this.containerEnv(container);
    const target = { proc: "/proc", pid: sandbox.pid };
    const enter = (command: readonly string[]) => enterPod(target, command, container.workingDir);
    const [ip = node.ips[0]] = ips;
    return new ContainerRuntime({
      container,
      process: {
        argv: enter(argv.map((word) => expand(word, env))),
        env,
        log: paths.containerLog(metadata.namespace ?? "default", metadata.name, container.name),
        restart: spec.restartPolicy ?? "Always",
        wrapped: true,
        backoff: { initialMs: CONTAINER_BACKOFF_INITIAL_MS, maxMs: CONTAINER_BACKOFF_MAX_MS },
      },
      probeTarget: { container, ip: ip as IpAddress, netns: nodeNetns, sys, execArgv: enter, env },
      graceMs: (spec.terminationGracePeriodSeconds ?? TERMINATION_GRACE_SECONDS) * 1000,
      onChange: this.#onChange,
    });
  }
}
