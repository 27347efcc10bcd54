/** One program of the mesh on its node: an istiod-lite or a ztunnel, kept running. */
import type { Container, Pod } from "#common/kubernetes/objects.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { MESH_BACKOFF_INITIAL_MS, MESH_BACKOFF_MAX_MS } from "#meshctl/limits.ts";
import type { MeshProcessSettings } from "#meshctl/local/cluster-settings.ts";
import { ContainerRuntime } from "#meshctl/local/container-runtime.ts";
import { CONTAINER_PATH, containerArgv } from "#meshctl/local/images.ts";
import { type PodStatus, podStatus } from "#meshctl/local/pod-status.ts";
import { inNetnsOf } from "#meshctl/local/run-command.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";

export interface MeshProcessSpec {
  /** The pod as it is published; its one container says image, arguments and readiness probe. */
  readonly pod: Pod;
  readonly env: Readonly<Record<string, string>>;
  readonly settings: MeshProcessSettings;
  /** The process in whose network it runs. */
  readonly netnsPid: number;
  readonly netns: Netns;
  readonly sys: Syscalls;
  readonly ips: readonly IpAddress[];
  readonly log: string;
  readonly onChange: () => void;
}

export class MeshProcess {
  readonly spec: MeshProcessSpec;
  #container: ContainerRuntime;
  #env: Readonly<Record<string, string>>;
  readonly #startTime = new Date();
  #status: PodStatus | undefined;

  constructor(spec: MeshProcessSpec) {
    this.spec = spec;
    this.#env = spec.env;
    this.#container = this.#make();
  }

  get container(): Container | undefined {
    return this.spec.pod.spec.containers[0];
  }
  get pid(): number | undefined {
    return this.#container.pid;
  }
  get env(): Readonly<Record<string, string>> {
    return { ...this.#env, ...this.spec.settings.env };
  }
  get ready(): boolean {
    return this.#container.view.ready;
  }

  start(): void {
    this.#container.start();
  }

  /** Starts again after `stop`, with these variables added. */
  restart(env: Readonly<Record<string, string>>): void {
    this.#env = { ...this.#env, ...env };
    this.#container = this.#make();
    this.#container.start();
  }

  signal(signal: NodeJS.Signals): boolean {
    return this.#container.signal(signal);
  }

  /** Ends it and keeps it down. */
  stop(graceMs: number): Promise<void> {
    return this.#container.stop(graceMs);
  }

  /** The pod with its present status. */
  view(now: Date): Pod {
    const { pod, ips } = this.spec;
    this.#status = podStatus(
      {
        ips,
        hostIp: ips[0],
        startTime: this.#startTime,
        containers: [this.#container.view],
        restartPolicy: "Always",
        blocked: undefined,
        scheduled: true,
      },
      this.#status,
      now,
    );
    return { ...pod, status: this.#status };
  }

  #make(): ContainerRuntime {
    const { spec, container } = this;
    const [ip] = spec.ips;
    if (container === undefined || ip === undefined) {
      throw new TypeError("a program of the mesh has a container and an address");
    }
    const env = { PATH: CONTAINER_PATH, HOME: "/root", ...compileCache(), ...this.env };
    const own = containerArgv(container) ?? [];
    const argv = [
      ...(spec.settings.command === undefined
        ? own
        : [...spec.settings.command, ...(container.args ?? [])]),
      ...(spec.settings.args ?? []),
    ];
    return new ContainerRuntime({
      container,
      process: {
        argv: inNetnsOf(spec.netnsPid, argv),
        env,
        log: spec.log,
        restart: "Always",
        wrapped: false,
        backoff: { initialMs: MESH_BACKOFF_INITIAL_MS, maxMs: MESH_BACKOFF_MAX_MS },
      },
      probeTarget: {
        container,
        ip,
        netns: spec.netns,
        sys: spec.sys,
        execArgv: (command) => inNetnsOf(spec.netnsPid, command),
        env,
      },
      graceMs: 0,
      onChange: spec.onChange,
    });
  }
}

/**
 * Where Node keeps compiled code, if whoever started the cluster has a place: it halves a start.
 */
function compileCache(): Readonly<Record<string, string>> {
  const { NODE_COMPILE_CACHE } = process.env;
  return NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE };
}
