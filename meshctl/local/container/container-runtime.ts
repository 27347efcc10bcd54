/** One container of a pod: its process, and what its probes say about it. */
import type { Container, Probe } from "#common/kubernetes/objects.ts";
import { knownImages } from "./images.ts";
import { checkProbe, type ProbeTarget } from "./probe-check.ts";
import { ProbeLoop } from "./probe-loop.ts";
import { type ProcessSpec, type ProcessState, SupervisedProcess } from "./supervised-process.ts";

export interface ContainerView {
  readonly name: string;
  readonly image: string;
  readonly ready: boolean;
  readonly started: boolean;
  readonly restarts: number;
  readonly state: ProcessState;
  readonly lastTermination: ProcessState | undefined;
  /** What the failing probe says; "" when none fails. */
  readonly probeMessage: string;
}

export interface ContainerOptions {
  readonly container: Container;
  readonly process: ProcessSpec;
  readonly probeTarget: ProbeTarget;
  readonly graceMs: number;
  readonly onChange: () => void;
}

export class ContainerRuntime {
  readonly #options: ContainerOptions;
  readonly #process: SupervisedProcess;
  #loops: ProbeLoop[] = [];
  #probedPid: number | undefined;
  #started = false;
  #ready = false;
  #probeMessage = "";

  constructor(options: ContainerOptions) {
    this.#options = options;
    this.#process = new SupervisedProcess(options.process, () => this.#onProcessChange());
  }

  get view(): ContainerView {
    const { name, image } = this.#options.container;
    const running = this.#process.state.kind === "running";
    return {
      name,
      image,
      ready: running && this.#ready,
      started: running && this.#started,
      restarts: this.#process.restarts,
      state: this.#process.state,
      lastTermination: this.#process.lastTermination,
      probeMessage: this.#probeMessage,
    };
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Whether a process that `notifies` has said that it is ready. */
  get notified(): boolean {
    return this.#process.notified;
  }

  start(): void {
    this.#process.start();
  }

  signal(signal: NodeJS.Signals): boolean {
    return this.#process.signal(signal);
  }

  async stop(graceMs: number): Promise<void> {
    this.#stopProbes();
    await this.#process.stop(graceMs);
  }

  #onProcessChange(): void {
    const { state } = this.#process;
    const pid = state.kind === "running" ? state.pid : undefined;
    if (pid !== this.#probedPid) {
      this.#stopProbes();
      this.#probedPid = pid;
      if (pid !== undefined) this.#startProbes();
    }
    this.#options.onChange();
  }

  #stopProbes(): void {
    for (const loop of this.#loops) loop.stop();
    this.#loops = [];
    this.#started = false;
    this.#ready = false;
    this.#probeMessage = "";
  }

  #startProbes(): void {
    const { startupProbe } = this.#options.container;
    if (startupProbe === undefined) {
      this.#onStarted();
      return;
    }
    const loop = this.#loop(startupProbe, true, (passing, message) => {
      if (!passing) {
        this.#kill("startup", message);
        return;
      }
      loop.stop();
      this.#onStarted();
      this.#options.onChange();
    });
  }

  #onStarted(): void {
    this.#started = true;
    const { readinessProbe, livenessProbe } = this.#options.container;
    if (readinessProbe === undefined) this.#ready = true;
    else this.#loop(readinessProbe, true, (passing, message) => this.#setReady(passing, message));
    if (livenessProbe === undefined) return;
    this.#loop(livenessProbe, false, (passing, message) => {
      if (!passing) this.#kill("liveness", message);
    });
  }

  #setReady(passing: boolean, message: string): void {
    this.#probeMessage = passing ? "" : `readiness probe failed: ${message}`;
    if (this.#ready === passing) return;
    this.#ready = passing;
    this.#options.onChange();
  }

  #kill(which: string, message: string): void {
    this.#stopProbes();
    this.#probeMessage = `${which} probe failed: ${message}`;
    void this.#process.terminate(this.#options.graceMs);
  }

  #loop(
    probe: Probe,
    eager: boolean,
    onVerdict: (passing: boolean, message: string) => void,
  ): ProbeLoop {
    const check = () => checkProbe(probe, this.#options.probeTarget);
    const onMessage = (message: string) => {
      this.#probeMessage = `probe failed: ${message}`;
    };
    const loop = new ProbeLoop({ probe, check, eager, onVerdict, onMessage });
    this.#loops.push(loop);
    return loop;
  }
}

/** A container whose image stands for nothing here, as it is shown: it waits for ever. */
export function brokenImage({ name, image }: Container): ContainerView {
  const message =
    `image ${image} has no counterpart on this machine: meshctl up can run ` +
    `${knownImages().join(", ")} (meshctl/local/container/images.ts says what each one runs)`;
  const state = { kind: "waiting", reason: "ErrImagePull", message } as const;
  return {
    name,
    image,
    ready: false,
    started: false,
    restarts: 0,
    state,
    lastTermination: undefined,
    probeMessage: "",
  };
}
