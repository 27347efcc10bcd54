/** Connections to servers on this machine, without mesh or pools: for tests. */
import { once } from "node:events";
import net from "node:net";
import { pod } from "#common/mesh-state/test-records.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { FlushBatcher } from "#common/transport/flush-batcher.ts";
import { SocketEnd } from "#common/transport/socket-end.ts";
import type { CodecLimits, UpstreamConnection, Wire } from "../http/engine.ts";
import { llhttpForwarder } from "../http/h1/h1-codec.ts";
import { http2Codec } from "../http/h2/h2-codec.ts";
import type { AttemptOutcome, Endpoint, LeaseRequest, Upstreams } from "./upstream.ts";

const LIMITS: CodecLimits = {
  headerBytes: 16_384,
  headerCount: 100,
  headersTimeoutMs: 30_000,
  idleTimeoutMs: 60_000,
  bodyTimeoutMs: 30_000,
  requestsPerConnection: 1_000,
  pipelinedRequests: 16,
  concurrentStreams: 100,
};

export class PlainUpstreams implements Pick<Upstreams, "lease"> {
  /** By host name; a name that is not here has no endpoint. */
  readonly ports = new Map<string, number>();
  readonly outcomes: AttemptOutcome[] = [];
  readonly #connections = new Set<UpstreamConnection>();
  readonly #batcher = new FlushBatcher();

  async lease({ backend, protocol }: LeaseRequest): ReturnType<Upstreams["lease"]> {
    const port = this.ports.get(backend.hostname);
    const refused = { status: 503, reason: "no-healthy-upstream", body: "no endpoint" } as const;
    if (port === undefined) return refused;
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    try {
      await once(socket, "connect");
    } catch {
      return { ...refused, reason: "upstream-connect-failure", body: "refused" };
    }
    const codec = protocol === "http1" ? llhttpForwarder() : http2Codec;
    const connection = codec.connect(this.#wire(socket), LIMITS, {
      onIdle: () => undefined,
      onClosed: () => this.#connections.delete(connection),
    });
    this.#connections.add(connection);
    const endpoint: Endpoint = {
      workload: pod("authorizer", ["127.0.0.1"]),
      address: { ip: "127.0.0.1" as IpAddress, port },
      transport: "plaintext",
    };
    const finished = (outcome: AttemptOutcome): void => void this.outcomes.push(outcome);
    return { endpoint, connection, reused: false, finished };
  }

  close(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  #wire(socket: net.Socket): Wire {
    return { asDuplex: () => socket, asEnd: () => new SocketEnd(socket, this.#batcher) };
  }
}
