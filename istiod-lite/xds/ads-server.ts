/** Delta xDS over gRPC: authenticates callers, keeps one stream per proxy, pushes what changed. */
import { type handleBidiStreamingCall, status } from "@grpc/grpc-js";
import type { Logger } from "#common/telemetry/logger.ts";
import type { DeltaDiscoveryRequest, DeltaDiscoveryResponse } from "#common/xds/discovery-rpc.ts";
import { authenticate } from "../ca/authenticate.ts";
import type { Caller } from "../ca/caller.ts";
import type { TokenReviewer } from "../ca/token-review.ts";
import { PUSH_DEBOUNCE_MS, STREAMS_PER_CALLER } from "../limits.ts";
import { RefusalLog } from "../refusal-log.ts";
import type { PublishedResource, RegistryUpdate } from "../registry/registry-update.ts";
import type { ResourceView } from "../registry/resource-table.ts";
import type { AbsentZtunnels } from "./absent-ztunnels.ts";
import { endStream, type ProxyCall, type ProxyStatus, ProxyStream } from "./proxy-stream.ts";
import { PushTurns } from "./push-turns.ts";
import type { RefusalReason, XdsMetrics } from "./xds-metrics.ts";

export interface AdsServerDeps {
  readonly resources: ResourceView;
  readonly tokens: TokenReviewer;
  readonly metrics: XdsMetrics;
  readonly logger: Logger;
  /** Whether the caller is a node proxy, which alone learns the pods of its node. */
  readonly isNodeProxy: (caller: Caller) => boolean;
  /** `<namespace>/<name>` of the waypoint that the caller's pod belongs to. */
  readonly waypointOf: (caller: Caller) => string | undefined;
  /**
   * Whether the caller's own pod is known. A control plane that does not even know who is asking
   * does not know the mesh (yet): it must not tell a proxy that what it holds is gone.
   */
  readonly isKnown: (caller: Caller) => boolean;
  readonly absent: Pick<AbsentZtunnels, "joined" | "left">;
}

export class AdsServer {
  readonly #deps: AdsServerDeps;
  readonly #turns = new PushTurns();
  readonly #refusals: RefusalLog;
  readonly #streams = new Set<ProxyStream>();
  /** Streams by caller, for their bound. */
  readonly #byCaller = new Map<string, number>();
  /**
   * What changed since the last push; the last state of each counts, and is looked up when sent.
   */
  #changes: PublishedResource[] = [];
  #changedAt = 0;
  #pushTimer: NodeJS.Timeout | undefined;

  constructor(deps: AdsServerDeps) {
    this.#deps = deps;
    this.#refusals = new RefusalLog(deps.logger, "xDS caller refused");
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
    // Without a listener, a connection that breaks now would be an uncaught error.
    call.on("error", () => undefined);
    // Requests may come before the token is reviewed: they wait in the paused stream.
    call.pause();
    const { caller, refusal } = await authenticate(this.#deps.tokens, call.metadata);
    if (refusal !== undefined) this.#refuse(call, "unauthenticated", refusal.why, refusal);
    else if (!call.cancelled) this.#admit(call, caller);
  }

  #admit(call: ProxyCall, caller: Caller): void {
    const name = callerName(caller);
    if (!this.#deps.isKnown(caller)) {
      const details = `pod ${name} is not known here (yet)`;
      this.#refuse(call, "not-synced", details, { code: status.UNAVAILABLE, details });
    } else if ((this.#byCaller.get(name) ?? 0) >= STREAMS_PER_CALLER) {
      const details = `pod ${name} has ${STREAMS_PER_CALLER} streams already`;
      this.#refuse(call, "too-many", details, { code: status.RESOURCE_EXHAUSTED, details });
    } else {
      this.#serve(call, caller, name);
    }
  }

  #refuse(
    call: ProxyCall,
    reason: RefusalReason,
    why: string,
    answer: { readonly code: status; readonly details: string },
  ): void {
    this.#deps.metrics.refused(reason);
    this.#refusals.warn({ peer: call.getPeer(), why });
    endStream(call, answer.code, answer.details);
  }

  #serve(call: ProxyCall, caller: Caller, name: string): void {
    // What is gathered concerns the streams there are; a new one starts from the state as it is
    // now.
    this.#distribute();
    const stream = new ProxyStream(call, caller, { ...this.#deps, turns: this.#turns });
    this.#streams.add(stream);
    this.#byCaller.set(name, (this.#byCaller.get(name) ?? 0) + 1);
    this.#deps.metrics.connected(this.#streams.size);
    const { node } = caller;
    const ofZtunnel = node !== undefined && this.#deps.isNodeProxy(caller);
    if (ofZtunnel) this.#deps.absent.joined(node);
    const gone = (): void => {
      if (!this.#streams.has(stream)) return;
      this.#gone(stream, name);
      if (ofZtunnel) this.#deps.absent.left(node);
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

  #gone(stream: ProxyStream, name: string): void {
    stream.close();
    this.#streams.delete(stream);
    const left = (this.#byCaller.get(name) ?? 1) - 1;
    if (left > 0) this.#byCaller.set(name, left);
    else this.#byCaller.delete(name);
    this.#deps.metrics.connected(this.#streams.size);
    this.#deps.logger.info("proxy disconnected", { proxy: stream.id });
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

function callerName({ namespace, podName = "?", podUid = "?" }: Caller): string {
  return `${namespace}/${podName} (${podUid})`;
}
