/** One connected proxy: its subscriptions by type, and the responses on their way to it. */
import { type ServerDuplexStream, status } from "@grpc/grpc-js";
import { describeError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import type {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  DiscoveryNode,
} from "#common/xds/discovery-rpc.ts";
import {
  CAPTURED_POD_TYPE,
  isTypeUrl,
  type TypeUrl,
  WAYPOINT_TYPE,
} from "#common/xds/type-urls.ts";
import type { Caller } from "../ca/caller.ts";
import { PROXY_VERSION_CHARACTERS, SLOW_PROXY_TIMEOUT_MS } from "../limits.ts";
import type { PublishedResource } from "../registry/registry-update.ts";
import type { ResourceView } from "../registry/resource-table.ts";
import { waypointScope } from "../registry/waypoints/scope.ts";
import type { PushTurns } from "./push-turns.ts";
import { Subscription } from "./subscription.ts";
import type { XdsMetrics } from "./xds-metrics.ts";

export type ProxyCall = ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

export interface ProxyStreamDeps {
  readonly resources: ResourceView;
  readonly metrics: XdsMetrics;
  readonly logger: Logger;
  readonly isNodeProxy: (caller: Caller) => boolean;
  /** `<namespace>/<name>` of the waypoint that the caller's pod belongs to. */
  readonly waypointOf: (caller: Caller) => string | undefined;
  readonly turns: PushTurns;
}

/** One line of /debug/syncz. */
export interface ProxyStatus {
  readonly proxy: string;
  /** The name is Istio's, as the one before: `istioctl version` reads both. "" if none is known. */
  readonly istio_version: string;
  readonly node: string;
  /** `<namespace>/<service account>` of the token. */
  readonly account: string;
  readonly peer: string;
  /** RFC 3339. */
  readonly connectedAt: string;
  readonly types: readonly {
    readonly typeUrl: string;
    /** Everything there is to say has been said and acknowledged. */
    readonly synced: boolean;
    readonly wildcard: boolean;
    /** Names that wait for the acknowledgement of the response before. */
    readonly pending: number;
    /** What the proxy refused last, "" if nothing. */
    readonly lastRejection: string;
  }[];
}

interface Subscribed {
  readonly subscription: Subscription;
  /**
   * Of the last response, counted per type: the first response of a type is then the same message
   * for every proxy that is told the same.
   */
  nonce: number;
  lastRejection: string;
}

export class ProxyStream {
  readonly #call: ProxyCall;
  readonly #caller: Caller;
  readonly #deps: ProxyStreamDeps;
  readonly #types = new Map<TypeUrl, Subscribed>();
  readonly #connectedAt = new Date();
  #id = "";
  #node = "";
  #version = "";
  /** Responses that the proxy has not taken yet, and what ends the wait. */
  readonly #sending = new Set<() => void>();
  #ended = false;

  constructor(call: ProxyCall, caller: Caller, deps: ProxyStreamDeps) {
    this.#call = call;
    this.#caller = caller;
    this.#deps = deps;
  }

  /** The proxy's node id, "" before its first request. */
  get id(): string {
    return this.#id;
  }

  /** Takes a request in. A defect of ours ends this stream, not the process. */
  request(request: DeltaDiscoveryRequest): void {
    if (this.#ended) return;
    try {
      this.#take(request);
    } catch (error) {
      this.#deps.logger.error("xDS request failed", { proxy: this.#id, why: describeError(error) });
      this.end(status.INTERNAL, "internal error");
    }
  }

  changed(resources: readonly PublishedResource[]): void {
    for (const resource of resources) {
      this.#types.get(resource.typeUrl)?.subscription.changed(resource);
    }
  }

  /** Sends what is to be said in each type that has no response under way. */
  push(): void {
    for (const [typeUrl, subscribed] of this.#types) this.#push(typeUrl, subscribed);
  }

  end(code: status, details: string): void {
    this.close();
    endStream(this.#call, code, details);
  }

  /** The proxy is gone: nothing more is sent, and what it held is given back. */
  close(): void {
    this.#ended = true;
    for (const { subscription } of this.#types.values()) this.#deps.turns.leave(subscription);
    for (const done of this.#sending) done();
  }

  status(): ProxyStatus {
    return {
      proxy: this.#id,
      istio_version: this.#version,
      node: this.#node,
      account: `${this.#caller.namespace}/${this.#caller.serviceAccount}`,
      peer: this.#call.getPeer(),
      connectedAt: this.#connectedAt.toISOString(),
      types: [...this.#types].map(([typeUrl, { subscription, lastRejection }]) => ({
        typeUrl,
        ...subscription.state,
        lastRejection,
      })),
    };
  }

  #take(request: DeltaDiscoveryRequest): void {
    const { typeUrl, node } = request;
    if (node !== undefined) this.#identify(node);
    if (!isTypeUrl(typeUrl)) {
      this.#deps.logger.warn("unknown resource type asked for", { proxy: this.#id, typeUrl });
      return;
    }
    const subscribed = this.#subscribed(typeUrl);
    if (subscribed === undefined) return;
    const { subscription } = subscribed;
    const { rejected } = subscription.request(request);
    if (rejected !== undefined) {
      subscribed.lastRejection = rejected;
      this.#deps.metrics.rejected(typeUrl);
      const fields = { proxy: this.#id, typeUrl, why: rejected };
      this.#deps.logger.warn("proxy refused resources; it keeps their last good version", fields);
    }
    if (subscription.overLimit) {
      this.end(status.RESOURCE_EXHAUSTED, "too many resources subscribed by name");
    } else {
      this.#push(typeUrl, subscribed);
    }
  }

  /** The first word on who this is counts: what the stream may see depends on it. */
  #identify(node: DiscoveryNode): void {
    if (this.#id !== "") return;
    const { NODE_NAME: name, ISTIO_VERSION: version } = node.metadata;
    this.#id = node.id;
    this.#node = typeof name === "string" ? name : "";
    this.#version = typeof version === "string" ? version.slice(0, PROXY_VERSION_CHARACTERS) : "";
    this.#deps.logger.info("proxy connected", { proxy: this.#id, peer: this.#call.getPeer() });
  }

  /**
   * The pods of a node are for that node's own proxy only, and what a waypoint is told for its own
   * pods, as the caller's token says.
   */
  #subscribed(typeUrl: TypeUrl): Subscribed | undefined {
    const known = this.#types.get(typeUrl);
    if (known !== undefined) return known;
    const scope = this.#scope(typeUrl);
    if (scope === undefined) return undefined;
    const subscription = new Subscription(this.#deps.resources, typeUrl, scope);
    const subscribed = { subscription, nonce: 0, lastRejection: "" };
    this.#types.set(typeUrl, subscribed);
    return subscribed;
  }

  /** Undefined where the caller may not see the type; the stream is then ended. */
  #scope(typeUrl: TypeUrl): string | undefined {
    const { isNodeProxy, waypointOf } = this.#deps;
    if (typeUrl === CAPTURED_POD_TYPE) {
      if (isNodeProxy(this.#caller) && this.#caller.node === this.#node) return this.#node;
      return this.#deny(`the proxy of node ${this.#node}`, "not the proxy of this node");
    }
    if (typeUrl !== WAYPOINT_TYPE) return "";
    const waypoint = waypointOf(this.#caller);
    if (waypoint !== undefined) return waypointScope(waypoint);
    return this.#deny("of a waypoint's pod", "not a waypoint");
  }

  #deny(wanted: string, details: string): undefined {
    const { namespace, serviceAccount, node = "?" } = this.#caller;
    const why = `${namespace}/${serviceAccount} on node ${node} is not ${wanted}`;
    this.#deps.metrics.refused("denied");
    const peer = this.#call.getPeer();
    this.#deps.logger.warn("xDS caller refused", { proxy: this.#id, peer, why });
    this.end(status.PERMISSION_DENIED, details);
    return undefined;
  }

  #push(typeUrl: TypeUrl, subscribed: Subscribed): void {
    if (this.#ended) return;
    const { subscription } = subscribed;
    const { metrics, turns } = this.#deps;
    const size = subscription.ready;
    if (size === undefined) return;
    const release = turns.take(subscription, size, () => this.#push(typeUrl, subscribed));
    if (release === undefined) return;
    const startedAt = performance.now();
    const nonce = String(subscribed.nonce + 1);
    const response = subscription.take(nonce);
    if (response === undefined) {
      release();
      return;
    }
    subscribed.nonce++;
    this.#send({ typeUrl, nonce, systemVersionInfo: "", ...response }, release);
    const count = response.resources.length + response.removedResources.length;
    metrics.pushed(typeUrl, count, (performance.now() - startedAt) / 1000);
  }

  /** A proxy that does not read holds its place only for a while. */
  #send(response: DeltaDiscoveryResponse, release: () => void): void {
    const slow = setTimeout(() => {
      this.#deps.metrics.refused("slow");
      this.#deps.logger.warn("proxy cut off: it does not take what it is sent", {
        proxy: this.#id,
      });
      this.end(status.RESOURCE_EXHAUSTED, "responses are not being read");
      // Its end waits behind what is not read: the connection has to go.
      this.#call.destroy();
    }, SLOW_PROXY_TIMEOUT_MS);
    const done = (): void => {
      clearTimeout(slow);
      this.#sending.delete(done);
      release();
    };
    this.#sending.add(done);
    this.#call.write(response, done);
  }
}

/** Ends a stream with a status: grpc-js takes it from an error event. */
export function endStream(call: ProxyCall, code: status, details: string): void {
  call.emit("error", { code, details });
}
