/** Connections whose bytes are carried as they are: plain TCP, and TLS that is not ended here. */
import type { End } from "#common/transport/end.ts";
import { CLIENT_LEFT, type ConnectionFailure, failure } from "#common/transport/failure.ts";
import { type Relay, relay } from "#common/transport/relay.ts";
import type { Downstream } from "../filter/stage.ts";
import type { ServerConnection } from "../http/engine.ts";
import { TCP_ENDPOINT_ATTEMPTS } from "../limits.ts";
import type { LeaseRefusal, Upstreams, WireLease } from "../upstream/upstream.ts";
import { chooseBackend } from "./choose-backend.ts";
import type { TcpReporter } from "./tcp-report.ts";

/** A client that is to be carried. */
export interface TcpClient {
  readonly end: End;
  readonly downstream: Downstream;
  /** There is an endpoint: bytes may come. */
  readonly accept: () => void;
  readonly refuse: (why: ConnectionFailure) => void;
  /** Aborted when the client has left. */
  readonly gone: AbortSignal;
}

/** Resolves when the client is being carried, or has been refused. */
export type CarryTcp = (client: TcpClient) => Promise<void>;

/** Undefined lets the connection pass. */
export type AuthorizeConnection = (downstream: Downstream) => ConnectionFailure | undefined;

/** Where connections that stand are known. */
export interface Standing {
  add(connection: ServerConnection): void;
  delete(connection: ServerConnection): void;
}

export interface TcpProxyDeps {
  readonly upstreams: Pick<Upstreams, "connect">;
  readonly authorize: AuthorizeConnection;
  readonly standing: Standing;
  readonly reporter: TcpReporter;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export class TcpProxy {
  readonly #deps: TcpProxyDeps;

  constructor(deps: TcpProxyDeps) {
    this.#deps = deps;
  }

  async carry(client: TcpClient): Promise<void> {
    const { reporter } = this.#deps;
    const report = reporter.begin(client.downstream);
    const lease = await this.#connect(client);
    if ("ok" in lease) {
      client.refuse(lease);
      report.refused(lease);
      return;
    }
    const upstream = lease.wire.asEnd();
    if (client.gone.aborted) {
      upstream.reset();
      lease.finished();
      report.refused(CLIENT_LEFT);
      return;
    }
    client.accept();
    report.opened(lease.endpoint, client.end, upstream);
    this.#relay(client.end, upstream, (error, brokenBy) => {
      lease.finished();
      report.closed(error, brokenBy);
    });
  }

  async #connect(client: TcpClient): Promise<WireLease | ConnectionFailure> {
    const { downstream, gone: signal } = client;
    const { authorize, random, upstreams } = this.#deps;
    const denied = authorize(downstream);
    if (denied !== undefined) return denied;
    const backend = chooseBackend(downstream, random());
    if ("ok" in backend) return backend;
    const { workload } = downstream;
    const exclude = new Set<string>();
    for (let attempt = 1; ; attempt++) {
      const request = { backend, downstream, exclude, signal, ...(workload && { workload }) };
      const lease = await upstreams.connect(request);
      if ("wire" in lease) return lease;
      const again = lease.endpoint !== undefined && attempt < TCP_ENDPOINT_ATTEMPTS;
      if (!again || signal.aborted) return refusal(lease);
      exclude.add(lease.endpoint.workload.uid);
    }
  }

  #relay(
    downstream: End,
    upstream: End,
    onDone: (error: Error | undefined, brokenBy: string | undefined) => void,
  ): void {
    const { standing } = this.#deps;
    let running: Relay | undefined;
    let done = false;
    const connection: ServerConnection = {
      // Its bytes mean nothing to us: it ends when its ends do, or at the drain's deadline.
      drain: () => undefined,
      destroy: () => running?.abort(new Error(DRAINED)),
    };
    running = relay(downstream, upstream, ({ error, brokenBy }) => {
      done = true;
      standing.delete(connection);
      onDone(error, brokenBy);
    });
    if (!done) standing.add(connection);
  }
}

/** Istio ztunnel's words. */
export const DRAINED = "connection failed to drain within the timeout";

const REASONS: Partial<Record<LeaseRefusal["reason"], ConnectionFailure["reason"]>> = {
  "no-healthy-upstream": "no-healthy-upstream",
  "invalid-backend": "no-healthy-upstream",
  "upstream-connect-failure": "connect-failed",
  "upstream-overflow": "limit-reached",
};

function refusal({ reason, detail, body }: LeaseRefusal): ConnectionFailure {
  return failure(REASONS[reason] ?? "connect-failed", detail ?? body);
}
