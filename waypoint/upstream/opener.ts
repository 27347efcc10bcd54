/** Makes connections to endpoints: name to address, dialling within a time, HTTP on top. */
import type { SocketAddress } from "#common/model/ip.ts";
import type { TrafficPolicy } from "#common/model/waypoint/backend.ts";
import type { BackendRef } from "#common/model/waypoint/http-route.ts";
import { describeError } from "#common/runtime/errors.ts";
import type { CodecLimits, HttpCodec, Wire } from "../http/engine.ts";
import type { EndpointRecord } from "./backend-host.ts";
import type { Opened } from "./connection-pool.ts";
import type { ResolveHost } from "./host-resolver.ts";
import { CONNECT_TIMEOUT_MS } from "./limits.ts";
import { connectFailure } from "./replies.ts";
import type { Endpoint, LeaseRefusal, OpenWire, UpstreamProtocol } from "./upstream.ts";

export interface OpenerDependencies {
  readonly dial: OpenWire;
  readonly resolve: ResolveHost;
  readonly codecs: Readonly<Record<UpstreamProtocol, HttpCodec>>;
  readonly codecLimits: CodecLimits;
}

export interface OpenTarget {
  readonly record: EndpointRecord;
  readonly backend: BackendRef;
  readonly policy: TrafficPolicy;
}

export interface WireOptions {
  readonly client?: SocketAddress;
  readonly signal?: AbortSignal;
}

export class Opener {
  readonly #deps: OpenerDependencies;

  constructor(deps: OpenerDependencies) {
    this.#deps = deps;
  }

  /** For HTTP. Never rejects. */
  async open(target: OpenTarget, protocol: UpstreamProtocol): Promise<Opened | LeaseRefusal> {
    const opened = await this.#dial(target, protocol, {});
    if ("reason" in opened) return opened;
    const { endpoint, wire } = opened;
    const { codecs, codecLimits } = this.#deps;
    return {
      endpoint,
      connect: (handlers) => codecs[protocol].connect(wire, codecLimits, handlers),
      onRetired: (listener) => wire.onRetired?.(listener) ?? NEVER,
    };
  }

  /** For bytes that are not HTTP. Never rejects. */
  openWire(target: OpenTarget, options: WireOptions): Promise<DialledWire | LeaseRefusal> {
    return this.#dial(target, "tcp", options);
  }

  async #dial(
    { record, backend, policy }: OpenTarget,
    protocol: UpstreamProtocol | "tcp",
    { client, signal }: WireOptions,
  ): Promise<DialledWire | LeaseRefusal> {
    const { dial, resolve } = this.#deps;
    const { workload, targetPort: port } = record;
    const ip = workload.addresses[0] ?? (await resolve(workload.hostname));
    if (ip === undefined) return connectFailure(`${workload.hostname} has no address`);
    const transport = workload.tunnelProtocol === "hbone" ? "hbone" : "plaintext";
    const endpoint: Endpoint = { workload, address: { ip, port }, transport };
    const timeoutMs = policy.connectionPool?.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
    const deadline = new DialDeadline(timeoutMs, signal);
    const request = { endpoint, backend, policy, protocol, signal: deadline.signal };
    try {
      const wire = await dial({ ...request, ...(client !== undefined && { client }) });
      if (!("reason" in wire)) return { endpoint, wire };
      if (!deadline.passed) return { ...wire, endpoint };
      return connectFailure(`${workload.uid}: no connection within ${timeoutMs} ms`, endpoint);
    } catch (error) {
      return connectFailure(`${workload.uid}: ${describeError(error)}`, endpoint);
    } finally {
      deadline.clear();
    }
  }
}

const NEVER = (): void => undefined;

/** Ends a dial that takes too long or that nobody waits for; never a connection that was made. */
class DialDeadline {
  passed = false;
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #caller: AbortSignal | undefined;
  readonly #abort = (): void => this.#controller.abort();

  constructor(timeoutMs: number, caller: AbortSignal | undefined) {
    this.#caller = caller;
    this.#timer = setTimeout(() => {
      this.passed = true;
      this.#abort();
    }, timeoutMs);
    caller?.addEventListener("abort", this.#abort, { once: true });
    if (caller?.aborted) this.#abort();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#caller?.removeEventListener("abort", this.#abort);
  }
}

export interface DialledWire {
  readonly endpoint: Endpoint;
  readonly wire: Wire;
}
