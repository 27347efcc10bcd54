/** Connections whose bytes are carried as they are: plain TCP, and TLS that is not ended here. */
import type { End } from "#common/transport/end.ts";
import { CLIENT_LEFT, type ConnectionFailure, failure } from "#common/transport/failure.ts";
import { PeekedEnd } from "#common/transport/peeked-end.ts";
import { type Relay, relay } from "#common/transport/relay.ts";
import type { Downstream } from "../filter/stage.ts";
import type { ServerConnection } from "../http/engine.ts";
import { TCP_ENDPOINT_ATTEMPTS } from "../limits.ts";
import type { Endpoint, LeaseRefusal, Upstreams, WireLease } from "../upstream/upstream.ts";
import { type AuthorizeConnection, type Judged, Reauthorizer } from "./authorize.ts";
import { chooseBackend } from "./choose-backend.ts";
import type { TcpReporter } from "./tcp-report.ts";

/** A client that is to be carried. */
export interface TcpClient {
  readonly end: End;
  readonly downstream: Downstream;
  /** The same as it is configured now. */
  readonly current: () => Downstream;
  /** There is an endpoint: bytes may come. */
  readonly accept: () => void;
  readonly refuse: (why: ConnectionFailure) => void;
  /** Aborted when the client has left. */
  readonly gone: AbortSignal;
  /**
   * Of a client that has said nothing so far: waits for the first word of either side. `taken`: it
   * was the client's, and is for somebody else to carry. Without an upstream only the client can
   * speak.
   */
  readonly firstWord?: (upstream: PeekedEnd | undefined) => Promise<"taken" | "carry">;
}

interface Carried {
  readonly client: TcpClient;
  readonly upstream: End;
  readonly endpoint: Endpoint;
  readonly judged: () => Judged;
}

/** Resolves when the client is being carried, or has been refused. */
export type CarryTcp = (client: TcpClient) => Promise<void>;

/** Where connections that stand are known. */
export interface Standing {
  add(connection: ServerConnection, facts: CarriedFacts): void;
  delete(connection: ServerConnection): void;
}

/** What is known of a connection that stands. */
export interface CarriedFacts extends Pick<Carried, "endpoint">, Pick<TcpClient, "downstream"> {
  readonly carries: "bytes";
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
  readonly #reauthorizer: Reauthorizer;

  constructor(deps: TcpProxyDeps) {
    this.#deps = deps;
    this.#reauthorizer = new Reauthorizer(deps.authorize);
  }

  async carry(client: TcpClient): Promise<void> {
    const report = this.#deps.reporter.begin(client.downstream);
    const judged = judgedOf(client);
    const lease = await this.#connect(client, judged());
    if ("ok" in lease) {
      if ((await client.firstWord?.(undefined)) === "taken") return;
      client.refuse(lease);
      report.refused(lease);
      return;
    }
    const upstream = await this.#settled(client, lease);
    if (upstream === undefined) return;
    if (client.gone.aborted) {
      upstream.reset();
      lease.finished();
      report.refused(CLIENT_LEFT);
      return;
    }
    client.accept();
    const { endpoint } = lease;
    report.opened(endpoint, client.end, upstream);
    this.#relay({ client, upstream, endpoint, judged }, (why) => {
      lease.finished();
      report.closed(why);
    });
  }

  /** Policies have changed: who may not be connected any more is cut off. */
  reauthorize(): void {
    this.#reauthorizer.changed();
  }

  /** The end to carry the client to; undefined where somebody else has taken it over. */
  async #settled(client: TcpClient, { wire, finished }: WireLease): Promise<End | undefined> {
    const upstream = wire.asEnd();
    if (client.firstWord === undefined) return upstream;
    const peeked = new PeekedEnd(upstream);
    if ((await client.firstWord(peeked)) === "carry") return peeked;
    peeked.reset();
    finished();
    return undefined;
  }

  async #connect(client: TcpClient, judged: Judged): Promise<WireLease | ConnectionFailure> {
    const { downstream, gone: signal } = client;
    const { authorize, random, upstreams } = this.#deps;
    const verdict = authorize(judged);
    const denied = typeof verdict === "function" ? await verdict() : verdict;
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
    { client, upstream, endpoint, judged }: Carried,
    onDone: (why: ConnectionFailure | undefined) => void,
  ): void {
    const { standing } = this.#deps;
    let running: Relay | undefined;
    let cutFor: ConnectionFailure | undefined;
    let done = false;
    const cut = (why: ConnectionFailure): void => {
      cutFor = why;
      running?.abort(new Error(why.message));
    };
    const connection: ServerConnection = {
      // Its bytes mean nothing to us: it ends when its ends do, or at the drain's deadline.
      drain: () => undefined,
      destroy: () => cut(DRAINED),
    };
    const carried = { judged, cut };
    running = relay(client.end, upstream, ({ error, brokenBy }) => {
      done = true;
      standing.delete(connection);
      this.#reauthorizer.delete(carried);
      onDone(cutFor ?? (error && describeBreak(error, brokenBy)));
    });
    if (done) return;
    standing.add(connection, { carries: "bytes", downstream: client.downstream, endpoint });
    this.#reauthorizer.add(carried);
  }
}

/** The client as it is configured at each time, and for its whole life who has let it pass. */
function judgedOf({ current, gone: signal }: TcpClient): () => Judged {
  const permits = new Set<string>();
  return () => ({ downstream: current(), signal, permits });
}

/** Istio ztunnel's words. */
const DRAINED = failure("drain-timeout", "connection failed to drain within the timeout");

function describeBreak(error: Error, brokenBy: string | undefined): ConnectionFailure {
  const code = "code" in error ? error.code : undefined;
  const reason = code === "ECONNRESET" || code === "EPIPE" ? "peer-reset" : "io-error";
  return failure(reason, `${brokenBy ?? "proxy"} connection broken: ${error.message}`);
}

const REASONS: Partial<Record<LeaseRefusal["reason"], ConnectionFailure["reason"]>> = {
  "no-healthy-upstream": "no-healthy-upstream",
  "invalid-backend": "no-healthy-upstream",
  "upstream-connect-failure": "connect-failed",
  "upstream-overflow": "limit-reached",
};

function refusal({ reason, detail, body }: LeaseRefusal): ConnectionFailure {
  return failure(REASONS[reason] ?? "connect-failed", detail ?? body);
}
