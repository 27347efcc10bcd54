/** Delta xDS over gRPC: authenticates callers, keeps one stream per proxy, pushes what changed. */
import { type handleBidiStreamingCall, status } from "@grpc/grpc-js";
import { describeError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import type { DeltaDiscoveryRequest, DeltaDiscoveryResponse } from "#common/xds/discovery-rpc.ts";
import type { Caller, TokenReviewer } from "../ca/token-review.ts";
import { PUSH_DEBOUNCE_MS } from "../limits.ts";
import type { PublishedResource, RegistryUpdate } from "../registry/registry-update.ts";
import type { ResourceView } from "../registry/resource-table.ts";
import { endStream, type ProxyCall, type ProxyStatus, ProxyStream } from "./proxy-stream.ts";
import type { XdsMetrics } from "./xds-metrics.ts";

export interface AdsServerDeps {
  readonly resources: ResourceView;
  readonly tokens: TokenReviewer;
  readonly metrics: XdsMetrics;
  readonly logger: Logger;
  /** Whether the caller is a node proxy, which alone learns the pods of its node. */
  readonly isNodeProxy: (caller: Caller) => boolean;
}

export class AdsServer {
  readonly #deps: AdsServerDeps;
  readonly #streams = new Set<ProxyStream>();
  /**
   * What changed since the last push; the last state of each counts, and is looked up when sent.
   */
  #changes: PublishedResource[] = [];
  #changedAt = 0;
  #pushTimer: NodeJS.Timeout | undefined;

  constructor(deps: AdsServerDeps) {
    this.#deps = deps;
  }

  /** For `server.addService(AggregatedDiscoveryService, …)`. */
  readonly implementation: {
    readonly deltaAggregatedResources: handleBidiStreamingCall<
      DeltaDiscoveryRequest,
      DeltaDiscoveryResponse
    >;
  } = { deltaAggregatedResources: (call) => void this.#accept(call) };

  /**
   * Tells every proxy that it concerns, PUSH_DEBOUNCE_MS from the first of a burst of updates on.
   */
  push(update: Pick<RegistryUpdate, "changed" | "removed">): void {
    if (update.changed.length === 0 && update.removed.length === 0) return;
    for (const resource of update.changed) this.#changes.push(resource);
    for (const resource of update.removed) this.#changes.push(resource);
    if (this.#pushTimer !== undefined) return;
    this.#changedAt = performance.now();
    this.#pushTimer = setTimeout(() => this.#pushNow(), PUSH_DEBOUNCE_MS);
  }

  /** Who is connected, for /debug/syncz. */
  status(): readonly ProxyStatus[] {
    return [...this.#streams].map((stream) => stream.status());
  }

  /** Ends every stream; the proxies reconnect elsewhere. */
  close(): void {
    clearTimeout(this.#pushTimer);
    for (const stream of this.#streams) stream.end(status.UNAVAILABLE, "the server is closing");
  }

  async #accept(call: ProxyCall): Promise<void> {
    const { tokens, logger, metrics } = this.#deps;
    // Without a listener, a connection that breaks now would be an uncaught error.
    call.on("error", () => undefined);
    // Requests may come before the token is reviewed: they wait in the paused stream.
    call.pause();
    try {
      const caller = await tokens.review(call.metadata.get("authorization")[0]?.toString());
      if (!call.cancelled) this.#serve(call, caller);
    } catch (error) {
      metrics.refused("unauthenticated");
      logger.warn("xDS caller refused", { peer: call.getPeer(), why: describeError(error) });
      endStream(call, status.UNAUTHENTICATED, "request authenticate failure");
    }
  }

  #serve(call: ProxyCall, caller: Caller): void {
    // What is gathered concerns the streams there are; a new one starts from the state as it is
    // now.
    this.#distribute();
    const stream = new ProxyStream(call, caller, this.#deps);
    this.#streams.add(stream);
    this.#deps.metrics.connected(this.#streams.size);
    const gone = (): void => {
      if (!this.#streams.delete(stream)) return;
      this.#deps.metrics.connected(this.#streams.size);
      this.#deps.logger.info("proxy disconnected", { proxy: stream.id });
    };
    call.on("data", (request: DeltaDiscoveryRequest) => stream.request(request));
    call.on("end", () => {
      gone();
      call.end();
    });
    call.on("cancelled", gone);
    call.on("close", gone);
    call.resume();
  }

  #distribute(): void {
    const changes = this.#changes;
    this.#changes = [];
    for (const stream of this.#streams) stream.changed(changes);
  }

  #pushNow(): void {
    this.#pushTimer = undefined;
    this.#distribute();
    for (const stream of this.#streams) stream.push();
    this.#deps.metrics.converged((performance.now() - this.#changedAt) / 1000);
  }
}
