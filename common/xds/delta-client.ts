/**
 * The delta xDS client: keeps one stream to the control plane up and its subscribers in step with
 * it. While the control plane is away everything stays as it was; a new stream says what is held,
 * and only what is named as removed is ever removed. Source of the rules: ambient.md 2.5.
 */

import { status } from "@grpc/grpc-js";
import { Backoff } from "#common/runtime/backoff.ts";
import { describeError } from "#common/runtime/errors.ts";
import { pause } from "#common/runtime/pause.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import type { ControlPlaneChannel } from "./control-plane-channel.ts";
import { type DeltaStreamDeps, runDeltaStream, type StreamEnd } from "./delta-stream.ts";
import type { DiscoveryNode } from "./discovery-rpc.ts";
import { SHORT_STREAMS_FORGIVEN, STABLE_STREAM_MS } from "./limits.ts";
import type { ResourceHandler } from "./resource-handler.ts";

/** Why a stream ended: the `reason` label of istio_xds_connection_terminations_total. */
export type TerminationReason = "ConnectionError" | "Error" | "Reconnect" | "Complete";

export interface XdsCounters {
  terminated(reason: TerminationReason): void;
  received(typeUrl: string, bytes: number): void;
}

export interface DeltaClientDeps {
  readonly channel: Pick<ControlPlaneChannel, "client" | "metadata" | "reset" | "url">;
  readonly handlers: readonly ResourceHandler[];
  readonly logger: Logger;
  readonly counters: XdsCounters;
  /** Called once per stream, after the first push of any type has been applied. */
  readonly onConnected?: () => void;
  /** Called once per type, after its first push has been applied. */
  readonly onSynced?: (typeUrl: string) => void;
  /** Uniform in [0, 1): the jitter of reconnects. @default Math.random */
  readonly random?: () => number;
}

const BACKOFF = { initialMs: 10, maxMs: 15_000 };

export class DeltaClient {
  readonly #deps: DeltaClientDeps;
  readonly #stream: DeltaStreamDeps;
  readonly #announced = new Set<string>();
  readonly #backoff: Backoff;
  #connected = false;
  /** Streams in a row that were over at once. */
  #shortStreams = 0;

  constructor(deps: DeltaClientDeps, node: DiscoveryNode) {
    this.#deps = deps;
    this.#backoff = new Backoff(BACKOFF, deps.random);
    this.#stream = {
      node,
      handlers: new Map(deps.handlers.map((handler) => [handler.typeUrl, handler])),
      logger: deps.logger,
      onPush: (handler, bytes) => this.#pushed(handler, bytes),
    };
  }

  /** Whether the current stream has been answered. */
  get connected(): boolean {
    return this.#connected;
  }

  /** Types that have never been answered: the proxy is not ready without them. */
  get pending(): readonly string[] {
    return this.#deps.handlers.filter(({ synced }) => !synced).map(({ typeUrl }) => typeUrl);
  }

  /** Runs until the signal aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const startedAt = performance.now();
      const end = await this.#once(signal);
      const lasted = performance.now() - startedAt >= STABLE_STREAM_MS;
      this.#shortStreams = lasted ? 0 : this.#shortStreams + 1;
      this.#connected = false;
      this.#deps.channel.reset();
      if (signal.aborted) return;
      const delayMs = this.#afterEnd(end);
      await pause(delayMs, signal);
    }
  }

  async #once(signal: AbortSignal): Promise<StreamEnd> {
    const { channel } = this.#deps;
    try {
      const [client, metadata] = await Promise.all([channel.client(), channel.metadata()]);
      return await runDeltaStream(client, metadata, this.#stream, signal);
    } catch (error) {
      return { answered: false, code: status.FAILED_PRECONDITION, details: describeError(error) };
    }
  }

  /** Counts and logs the end of a stream; returns how long to wait before the next one. */
  #afterEnd(end: StreamEnd): number {
    const reason = terminationReason(end);
    this.#deps.counters.terminated(reason);
    // An ordinary end is no reason to hold back. A server that never answers is, whatever it says,
    // and so is one that answers for one type and refuses another: it would be asked for ever.
    const ordinary = end.answered && reason !== "Error";
    if (ordinary && this.#shortStreams <= SHORT_STREAMS_FORGIVEN) this.#backoff.reset();
    const delayMs = this.#backoff.next();
    const fields = {
      url: this.#deps.channel.url,
      reason,
      status: status[end.code] ?? end.code,
      why: end.details,
      retryInMs: Math.round(delayMs),
    };
    if (reason === "Reconnect" || reason === "Complete") {
      this.#deps.logger.info("xds stream ended", fields);
    } else {
      this.#deps.logger.warn("xds stream failed, the last state stays in force", fields);
    }
    return delayMs;
  }

  #pushed(handler: ResourceHandler, bytes: number): void {
    const { channel, counters, logger, onConnected, onSynced } = this.#deps;
    counters.received(handler.typeUrl, bytes);
    if (!this.#connected) {
      this.#connected = true;
      logger.info("xds stream established", { url: channel.url });
      onConnected?.();
    }
    if (this.#announced.has(handler.typeUrl)) return;
    this.#announced.add(handler.typeUrl);
    onSynced?.(handler.typeUrl);
  }
}

/** Source of the cases: istio/ztunnel src/xds/client.rs. */
function terminationReason({ answered, code, details }: StreamEnd): TerminationReason {
  switch (code) {
    case status.OK:
      return "Complete";
    case status.CANCELLED:
    case status.DEADLINE_EXCEEDED:
    case status.UNKNOWN:
      return "Reconnect";
    case status.UNAVAILABLE:
      // grpc-js has other words than grpc-go for a connection that the server closed on us.
      return answered || /transport is closing|received prior goaway/.test(details)
        ? "Reconnect"
        : "ConnectionError";
    case status.FAILED_PRECONDITION:
      return answered ? "Error" : "ConnectionError";
    default:
      return "Error";
  }
}
