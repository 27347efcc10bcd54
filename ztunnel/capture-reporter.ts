/** Tells istiod-lite what became of this node's pods; keeps at it until it has been heard. */
import { setTimeout as sleep } from "node:timers/promises";
import type { PodReport } from "#common/model/captured-pod.ts";
import { Backoff } from "#common/runtime/backoff.ts";
import { describeError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { report } from "#common/xds/capture-rpc.ts";
import type { ControlPlaneChannel } from "#common/xds/control-plane-channel.ts";
import { REPORT_BACKOFF_INITIAL_MS, REPORT_BACKOFF_MAX_MS, REPORT_TIMEOUT_MS } from "./limits.ts";

export class CaptureReporter {
  readonly #channel: Pick<ControlPlaneChannel, "client" | "metadata">;
  readonly #node: string;
  readonly #logger: Logger;
  /** The newest report of each pod that is or shall be captured. */
  readonly #known = new Map<string, PodReport>();
  /** The newest report of each pod that has not been delivered. */
  readonly #waiting = new Map<string, PodReport>();
  readonly #backoff = new Backoff({
    initialMs: REPORT_BACKOFF_INITIAL_MS,
    maxMs: REPORT_BACKOFF_MAX_MS,
  });
  #sending = false;
  #closed = false;

  constructor(
    channel: Pick<ControlPlaneChannel, "client" | "metadata">,
    node: string,
    logger: Logger,
  ) {
    this.#channel = channel;
    this.#node = node;
    this.#logger = logger;
  }

  /** Queues reports; a later one of the same pod replaces an earlier one. */
  send(reports: readonly PodReport[]): void {
    for (const podReport of reports) {
      const { uid, state } = podReport;
      if (state === "disabled") this.#known.delete(uid);
      else this.#known.set(uid, podReport);
      this.#waiting.set(uid, podReport);
    }
    void this.#pump();
  }

  /** Says again what became of all pods: to an istiod-lite that may have forgotten it. */
  repeat(): void {
    for (const [uid, podReport] of this.#known) {
      if (!this.#waiting.has(uid)) this.#waiting.set(uid, podReport);
    }
    void this.#pump();
  }

  close(): void {
    this.#closed = true;
  }

  async #pump(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    while (this.#waiting.size > 0 && !this.#closed) {
      const batch = [...this.#waiting.values()];
      try {
        await this.#deliver(batch);
        this.#backoff.reset();
        for (const sent of batch) {
          if (this.#waiting.get(sent.uid) === sent) this.#waiting.delete(sent.uid);
        }
      } catch (error) {
        const retryInMs = Math.round(this.#backoff.next());
        this.#logger.warn("capture report not delivered", { why: describeError(error), retryInMs });
        await sleep(retryInMs, undefined, { ref: false });
      }
    }
    this.#sending = false;
  }

  async #deliver(pods: readonly PodReport[]): Promise<void> {
    const [client, metadata] = await Promise.all([
      this.#channel.client(),
      this.#channel.metadata(),
    ]);
    await new Promise<void>((resolve, reject) => {
      client.makeUnaryRequest(
        report.path,
        report.requestSerialize,
        report.responseDeserialize,
        { node: this.#node, pods },
        metadata,
        { deadline: Date.now() + REPORT_TIMEOUT_MS },
        (error) => (error === null ? resolve() : reject(error)),
      );
    });
  }
}
