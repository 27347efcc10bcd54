/** Delta xDS over gRPC: authenticates callers, keeps one stream per proxy, pushes what changed. */
import { type ServerDuplexStream, type StatusObject, status } from "@grpc/grpc-js";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import type { DeltaDiscoveryRequest, DeltaDiscoveryResponse } from "#common/xds/discovery-rpc.ts";
import { CAPTURED_POD_TYPE, isTypeUrl, type TypeUrl } from "#common/xds/type-urls.ts";
import type { Caller, TokenReviewer } from "../ca/token-review.ts";
import { PUSH_DEBOUNCE_MS } from "../limits.ts";
import type { Resource, ResourceCache } from "./resource-cache.ts";
import { Subscription } from "./subscription.ts";
import type { XdsMetrics } from "./xds-metrics.ts";

type Call = ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

export interface AdsServerDeps {
  readonly cache: ResourceCache;
  readonly tokens: TokenReviewer;
  readonly metrics: XdsMetrics;
  readonly logger: Logger;
  /** Whether the caller is a node proxy, which alone learns the pods of its node. */
  readonly isNodeProxy: (caller: Caller) => boolean;
}

export class AdsServer {
  readonly #deps: AdsServerDeps;
  readonly #streams = new Set<ProxyStream>();
  #pushTimer: NodeJS.Timeout | undefined;

  constructor(deps: AdsServerDeps) {
    this.#deps = deps;
    deps.cache.onChange((typeUrl, names) => this.#changed(typeUrl, names));
  }

  /** For `server.addService(AggregatedDiscoveryService, …)`. */
  readonly implementation = {
    deltaAggregatedResources: (call: Call): void => void this.#accept(call),
  };

  /** Who is connected, for /debug/syncz. */
  status(): readonly object[] {
    return [...this.#streams].map((stream) => stream.status());
  }

  close(): void {
    clearTimeout(this.#pushTimer);
    for (const stream of this.#streams) stream.end(status.UNAVAILABLE, "the server is closing");
  }

  async #accept(call: Call): Promise<void> {
    // Requests may come before the token is reviewed: they wait in the paused stream.
    call.pause();
    call.on("error", () => call.end());
    const authorization = call.metadata.get("authorization")[0]?.toString();
    let caller: Caller;
    try {
      caller = await this.#deps.tokens.review(authorization);
    } catch (error) {
      const why = describeError(error);
      this.#deps.logger.warn("xDS caller refused", { peer: call.getPeer(), why });
      fail(call, status.UNAUTHENTICATED, "authentication failure");
      return;
    }
    if (call.cancelled) return;
    this.#serve(call, caller);
  }

  #serve(call: Call, caller: Caller): void {
    const { metrics } = this.#deps;
    const stream = new ProxyStream(call, caller, this.#deps);
    this.#streams.add(stream);
    metrics.connected(this.#streams.size);
    const gone = (): void => {
      if (!this.#streams.delete(stream)) return;
      metrics.connected(this.#streams.size);
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

  #changed(typeUrl: TypeUrl, names: readonly string[]): void {
    for (const stream of this.#streams) stream.changed(typeUrl, names);
    this.#pushTimer ??= setTimeout(() => {
      this.#pushTimer = undefined;
      for (const stream of this.#streams) stream.push();
    }, PUSH_DEBOUNCE_MS);
  }
}

/** One connected proxy. */
class ProxyStream {
  readonly #call: Call;
  readonly #caller: Caller;
  readonly #deps: AdsServerDeps;
  readonly #subscriptions = new Map<TypeUrl, Subscription>();
  readonly #connectedAt = new Date();
  #nodeId = "";
  #node = "";
  #nonce = 0;

  constructor(call: Call, caller: Caller, deps: AdsServerDeps) {
    this.#call = call;
    this.#caller = caller;
    this.#deps = deps;
  }

  request(request: DeltaDiscoveryRequest): void {
    const { typeUrl } = request;
    if (request.node !== undefined) this.#identify(request.node);
    if (!isTypeUrl(typeUrl)) {
      this.#deps.logger.warn("unknown resource type asked for", { proxy: this.#nodeId, typeUrl });
      return;
    }
    const subscription = this.#subscription(typeUrl);
    if (subscription === undefined) return;
    const { rejected } = subscription.request(request);
    if (rejected !== undefined) this.#rejected(typeUrl, rejected);
    if (subscription.overLimit) {
      this.end(status.RESOURCE_EXHAUSTED, "too many resources subscribed by name");
      return;
    }
    this.#push(typeUrl, subscription);
  }

  changed(typeUrl: TypeUrl, names: readonly string[]): void {
    this.#subscriptions.get(typeUrl)?.changed(names);
  }

  push(): void {
    for (const [typeUrl, subscription] of this.#subscriptions) this.#push(typeUrl, subscription);
  }

  end(code: status, details: string): void {
    fail(this.#call, code, details);
  }

  status(): object {
    return {
      proxy: this.#nodeId,
      node: this.#node,
      account: `${this.#caller.namespace}/${this.#caller.serviceAccount}`,
      peer: this.#call.getPeer(),
      connectedAt: this.#connectedAt.toISOString(),
      types: [...this.#subscriptions.keys()],
    };
  }

  #identify(node: NonNullable<DeltaDiscoveryRequest["node"]>): void {
    const name = node.metadata.NODE_NAME;
    this.#nodeId = node.id;
    this.#node = typeof name === "string" ? name : "";
  }

  /** The pods of a node are for that node's own proxy only, as its token says. */
  #subscription(typeUrl: TypeUrl): Subscription | undefined {
    const known = this.#subscriptions.get(typeUrl);
    if (known !== undefined) return known;
    if (typeUrl === CAPTURED_POD_TYPE && !this.#mayCapture()) {
      const account = `${this.#caller.namespace}/${this.#caller.serviceAccount}`;
      this.end(status.PERMISSION_DENIED, `${account} is not the proxy of node ${this.#node}`);
      return undefined;
    }
    const node = this.#node;
    const visible = (resource: Resource): boolean =>
      resource.node === undefined || resource.node === node;
    const subscription = new Subscription(this.#deps.cache, typeUrl, visible);
    this.#subscriptions.set(typeUrl, subscription);
    return subscription;
  }

  #mayCapture(): boolean {
    return this.#deps.isNodeProxy(this.#caller) && this.#caller.node === this.#node;
  }

  #push(typeUrl: TypeUrl, subscription: Subscription): void {
    const nonce = String(++this.#nonce);
    const response = subscription.take(nonce);
    if (response === undefined) return;
    this.#deps.metrics.pushed(typeUrl, response.resources.length);
    this.#call.write({ typeUrl, nonce, systemVersionInfo: "", ...response });
  }

  #rejected(typeUrl: TypeUrl, message: string): void {
    this.#deps.metrics.rejected(typeUrl);
    this.#deps.logger.warn("proxy refused resources", { proxy: this.#nodeId, typeUrl, message });
  }
}

function fail(call: Call, code: status, details: string): void {
  call.emit("error", { code, details, name: "AdsError", message: details } satisfies Partial<
    StatusObject & Error
  >);
}

/** What grpc-js is told when a unary handler throws: the code where we chose one. */
export function grpcStatus(error: unknown): { code: status; details: string } {
  if (error instanceof MeshError && error.code === "UNAUTHENTICATED") {
    return { code: status.UNAUTHENTICATED, details: "request authenticate failure" };
  }
  return { code: status.INTERNAL, details: "internal error" };
}
