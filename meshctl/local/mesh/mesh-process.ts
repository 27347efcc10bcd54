/** One program of the mesh on its node: an istiod-lite or a ztunnel, kept running. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Container, Pod } from "#common/kubernetes/objects.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { MeshProcessSettings } from "#meshctl/local/cluster-settings.ts";
import { ContainerRuntime } from "#meshctl/local/container/container-runtime.ts";
import { CONTAINER_PATH, containerArgv } from "#meshctl/local/container/images.ts";
import {
  CRASH_LOOP,
  type ProcessState,
  READINESS_FD,
} from "#meshctl/local/container/supervised-process.ts";
import {
  MESH_BACKOFF_INITIAL_MS,
  MESH_BACKOFF_MAX_MS,
  REPLACED_GRACE_MS,
  TAKE_OVER_POLL_MS,
  TAKE_OVER_TIMEOUT_MS,
} from "#meshctl/local/limits.ts";
import { inNetnsOf } from "#meshctl/local/network/run-command.ts";
import { ISTIO_NAMESPACE } from "#meshctl/local/objects/built-ins.ts";
import { type PodStatus, podStatus } from "#meshctl/local/pod/status.ts";
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
  /** It says on a descriptor that it is ready: what can be replaced has to. @default false */
  readonly notifies?: boolean;
  readonly onChange: () => void;
  /** Told how a run ended that is followed by another. */
  readonly onRestart: (name: string, message: string) => void;
}

export class MeshProcess {
  readonly spec: MeshProcessSpec;
  #container: ContainerRuntime;
  #env: Readonly<Record<string, string>>;
  readonly #startTime = new Date();
  #status: PodStatus | undefined;
  /** Replaced, and letting their connections end. */
  readonly #draining = new Set<ContainerRuntime>();
  #replacing = false;
  /** The waiting for another run that has been told of. */
  #told: ProcessState | undefined;

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

  /**
   * Starts another one beside it and, when that is ready, lets this one end in order. Resolves when
   * the new one has taken over; connections of the old one may go on until its own deadline. Where
   * the new one does not get ready, it is ended and the old one stays. `env` is added.
   */
  async replace(env: Readonly<Record<string, string>> = {}): Promise<void> {
    const { name } = this.spec.pod.metadata;
    if (this.#replacing || this.spec.notifies !== true) {
      const why = this.#replacing ? "is being replaced already" : "cannot be replaced";
      throw new MeshError("REPLACE_FAILED", `${name} ${why}`);
    }
    this.#replacing = true;
    const next = this.#make(env);
    try {
      next.start();
      await this.#untilTakenOver(next, name);
    } finally {
      this.#replacing = false;
    }
    const old = this.#container;
    this.#container = next;
    this.#env = { ...this.#env, ...env };
    this.#draining.add(old);
    void old.stop(REPLACED_GRACE_MS).then(() => this.#draining.delete(old));
  }

  async #untilTakenOver(next: ContainerRuntime, name: string): Promise<void> {
    const deadline = performance.now() + TAKE_OVER_TIMEOUT_MS;
    while (!next.notified) {
      if (performance.now() > deadline || next.pid === undefined) {
        await next.stop(0);
        const hint = `type: meshctl logs ${name} -n ${ISTIO_NAMESPACE}`;
        throw new MeshError("REPLACE_FAILED", `the new ${name} did not become ready`, { hint });
      }
      await sleep(TAKE_OVER_POLL_MS);
    }
  }

  signal(signal: NodeJS.Signals): boolean {
    return this.#container.signal(signal);
  }

  /** Ends it and keeps it down. */
  async stop(graceMs: number): Promise<void> {
    const all = [this.#container, ...this.#draining];
    await Promise.all(all.map((container) => container.stop(graceMs)));
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

  #make(added: Readonly<Record<string, string>> = {}): ContainerRuntime {
    const { spec, container } = this;
    const [ip] = spec.ips;
    if (container === undefined || ip === undefined) {
      throw new TypeError("a program of the mesh has a container and an address");
    }
    const env = this.#processEnv(added);
    return new ContainerRuntime({
      container,
      process: {
        argv: inNetnsOf(spec.netnsPid, this.#argv(container)),
        env,
        log: spec.log,
        restart: "Always",
        wrapped: false,
        notifies: spec.notifies ?? false,
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
      onChange: () => {
        this.#tellRestart();
        spec.onChange();
      },
    });
  }

  #tellRestart(): void {
    const { state } = this.#container.view;
    if (state.kind !== "waiting" || state.reason !== CRASH_LOOP || state === this.#told) return;
    this.#told = state;
    this.spec.onRestart(this.spec.pod.metadata.name, state.message);
  }

  #processEnv(added: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
    const notice = this.spec.notifies === true ? { READINESS_FD: String(READINESS_FD) } : {};
    const base = { PATH: CONTAINER_PATH, HOME: "/root", ...compileCache() };
    return { ...base, ...notice, ...this.env, ...added };
  }

  #argv(container: Container): readonly string[] {
    const { command, args = [] } = this.spec.settings;
    const own =
      command === undefined
        ? (containerArgv(container) ?? [])
        : [...command, ...(container.args ?? [])];
    return [...own, ...args];
  }
}

/**
 * Where Node keeps compiled code, if whoever started the cluster has a place: it halves a start.
 */
function compileCache(): Readonly<Record<string, string>> {
  const { NODE_COMPILE_CACHE } = process.env;
  return NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE };
}
