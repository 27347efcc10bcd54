/**
 * The control thread's side of the data workers: starts them, hands them work, collects what they
 * say.
 */
import { Worker } from "node:worker_threads";
import type { StateUpdate } from "#common/mesh-state/proxy-state.ts";
import type { CapturedPod } from "#common/model/captured-pod.ts";
import type { Identity } from "#common/model/identity.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { ConnectionBatch } from "#common/telemetry/connection-record.ts";
import type { RevocationList } from "#common/tls/crl.ts";
import type { WorkloadCertificate } from "#common/tls/workload-certificate.ts";
import type { Netns } from "#ztunnel/sys/syscalls.ts";
import { WORKER_YOUNG_GENERATION_MB } from "../limits.ts";
import type {
  AddressAnswers,
  ConnectionSummary,
  FromWorker,
  ToWorker,
  WorkerOptions,
} from "./worker-protocol.ts";

export interface DataWorkersEvents {
  readonly onCertificateWanted: (identity: Identity) => void;
  readonly onAddressWanted: (name: string) => void;
  readonly onTelemetry: (worker: number, batch: ConnectionBatch) => void;
  /** One connection met a bug; the worker goes on. */
  readonly onInternalError: (details: string) => void;
  /** A worker died. Its listeners are gone: the process should end and be restarted. */
  readonly onFatal: (error: Error) => void;
}

/** One descriptor per worker, in the workers' order. */
export interface WorkerListeners {
  readonly outbound: readonly number[];
  readonly inboundPlaintext: readonly number[];
  readonly hbone: readonly number[];
}

type Answer = Extract<FromWorker, { type: "done" | "connections" }>;

export class DataWorkers {
  readonly #workers: Worker[];
  readonly #events: DataWorkersEvents;
  readonly #pending = new Map<number, (answer: Answer) => void>();
  readonly #drained: Promise<void>[];
  #nextRequest = 1;
  #stopping = false;

  private constructor(workers: Worker[], events: DataWorkersEvents) {
    this.#workers = workers;
    this.#events = events;
    this.#drained = workers.map((worker, index) => this.#listen(worker, index));
  }

  /** Resolves when all `count` workers are ready. */
  static async start(
    count: number,
    options: WorkerOptions,
    events: DataWorkersEvents,
  ): Promise<DataWorkers> {
    const workers = Array.from({ length: count }, (_, index) => {
      const name = `data-${index}`;
      return new Worker(new URL("./worker.ts", import.meta.url), {
        workerData: options,
        name,
        resourceLimits: { maxYoungGenerationSizeMb: WORKER_YOUNG_GENERATION_MB },
      });
    });
    const ready = workers.map((worker) => firstMessage(worker));
    const dataWorkers = new DataWorkers(workers, events);
    await Promise.all(ready);
    return dataWorkers;
  }

  get count(): number {
    return this.#workers.length;
  }

  applyState(update: StateUpdate): void {
    this.#broadcast({ type: "state", update });
  }

  putCertificate(certificate: WorkloadCertificate): void {
    this.#broadcast({ type: "certificate", certificate });
  }

  answerAddresses(answers: AddressAnswers): void {
    this.#broadcast({ type: "addresses-answered", answers });
  }

  setMemoryIsShort(short: boolean): void {
    this.#broadcast({ type: "memory", short });
  }

  setRevocations(lists: readonly RevocationList[]): void {
    this.#broadcast({ type: "revocations", lists });
  }

  /** Hands over the pod's listeners; resolves when every worker accepts on its own. */
  async addPod(pod: CapturedPod, netns: Netns, listeners: WorkerListeners): Promise<void> {
    const answers = await Promise.all(
      this.#workers.map((worker, index) => {
        const own = {
          outbound: descriptorFor(listeners.outbound, index),
          inboundPlaintext: descriptorFor(listeners.inboundPlaintext, index),
          hbone: descriptorFor(listeners.hbone, index),
        };
        return this.#ask(worker, (request) => ({
          type: "add-pod",
          request,
          pod,
          netns,
          listeners: own,
        }));
      }),
    );
    for (const answer of answers) {
      if (answer.type !== "done" || answer.error === undefined) continue;
      throw new MeshError("LISTEN_FAILED", `pod ${pod.namespace}/${pod.name}: ${answer.error}`);
    }
  }

  /** Ends every connection of the pod and closes its listeners. */
  async removePod(podUid: string): Promise<void> {
    await Promise.all(
      this.#workers.map((worker) =>
        this.#ask(worker, (request) => ({ type: "remove-pod", request, podUid })),
      ),
    );
  }

  async listConnections(): Promise<readonly ConnectionSummary[]> {
    const answers = await Promise.all(
      this.#workers.map((worker) =>
        this.#ask(worker, (request) => ({ type: "list-connections", request })),
      ),
    );
    return answers.flatMap((answer) => (answer.type === "connections" ? answer.connections : []));
  }

  /** Stops accepting, waits for connections until the deadline, cuts the rest, ends the threads. */
  async drain(deadlineMs: number): Promise<void> {
    this.#stopping = true;
    this.#broadcast({ type: "drain", deadlineMs });
    await Promise.all(this.#drained);
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #broadcast(message: ToWorker): void {
    for (const worker of this.#workers) worker.postMessage(message);
  }

  #ask(worker: Worker, message: (request: number) => ToWorker): Promise<Answer> {
    const request = this.#nextRequest++;
    return new Promise((resolve) => {
      this.#pending.set(request, resolve);
      worker.postMessage(message(request));
    });
  }

  /** Subscribes to one worker; the promise resolves when it has drained. */
  #listen(worker: Worker, index: number): Promise<void> {
    return new Promise((resolve) => {
      worker.on("message", (message: FromWorker) => {
        if (message.type === "drained") resolve();
        else this.#dispatch(index, message);
      });
      worker.on("error", (error) => this.#events.onFatal(asError(error)));
      worker.on("exit", (code) => {
        resolve();
        if (this.#stopping) return;
        this.#events.onFatal(new MeshError("WORKER_EXITED", `data worker ended with code ${code}`));
      });
    });
  }

  #dispatch(index: number, message: FromWorker): void {
    switch (message.type) {
      case "certificate-wanted":
        this.#events.onCertificateWanted(message.identity);
        return;
      case "address-wanted":
        this.#events.onAddressWanted(message.name);
        return;
      case "internal-error":
        this.#events.onInternalError(message.details);
        return;
      case "telemetry":
        this.#events.onTelemetry(index, JSON.parse(message.batch));
        return;
      case "done":
      case "connections":
        this.#pending.get(message.request)?.(message);
        this.#pending.delete(message.request);
        return;
      default:
        return;
    }
  }
}

function firstMessage(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once("message", () => resolve());
    worker.once("error", reject);
  });
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

function descriptorFor(descriptors: readonly number[], worker: number): number {
  const fd = descriptors[worker];
  if (fd === undefined) throw new MeshError("LISTEN_FAILED", `no listener for worker ${worker}`);
  return fd;
}
