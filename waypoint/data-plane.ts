/**
 * The waypoint without its control plane: a listener for HBONE, what it knows of the mesh, and the
 * tunnels to endpoints. What happens to requests in between is put in by whoever makes it.
 */
import { once } from "node:events";
import type { Http2Session } from "node:http2";
import net from "node:net";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { ProxyState } from "#common/mesh-state/proxy-state.ts";
import type { Identity, TrustDomains } from "#common/model/identity.ts";
import type { IpAddress } from "#common/model/ip.ts";
import type { L7Policies } from "#common/model/waypoint/policy.ts";
import type { WaypointResource } from "#common/model/waypoint/resource.ts";
import { describeError, type MeshError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import type { RevocationList } from "#common/tls/crl.ts";
import type { WorkloadCertificate } from "#common/tls/workload-certificate.ts";
import { CertificateStore } from "#common/transport/certificate-store.ts";
import type { ConnectionFailure } from "#common/transport/failure.ts";
import { FlushBatcher } from "#common/transport/flush-batcher.ts";
import { HboneServer } from "#common/transport/hbone-server.ts";
import type { PeerAddresses } from "#common/transport/hbone-sessions.ts";
import type { HboneTunnel } from "#common/transport/hbone-tunnel.ts";
import { PeerWatch } from "#common/transport/peer-watch.ts";
import { StalledStreams } from "#common/transport/stalled-streams.ts";
import { TunnelKeepalive } from "#common/transport/tunnel-keepalive.ts";
import type { TunnelSettings } from "#common/transport/tunnel-settings.ts";
import {
  DRAIN_CUT_MS,
  DRAIN_HEARSAY_MS,
  DRAIN_NOTICE_MS,
  LISTENER_BACKLOG,
  SWEEP_INTERVAL_MS,
} from "./limits.ts";
import { ConnectHandler, type OnRefused, type ServeHttp } from "./listener/connect-handler.ts";
import { Connections } from "./listener/connections.ts";
import type { RouteProblem } from "./route/compile.ts";
import { RouteTables } from "./route/route-tables.ts";
import { WaypointStore } from "./state/waypoint-store.ts";
import type { AuthorizeConnection } from "./tcp/authorize.ts";
import { TcpProxy } from "./tcp/tcp-proxy.ts";
import { ConnectionReporter, type RecordConnection } from "./tcp/tcp-report.ts";
import { createDialer } from "./upstream/dialer.ts";
import { HboneDialer } from "./upstream/hbone-dialer.ts";
import type { OpenWire, Upstreams } from "./upstream/upstream.ts";

export interface DataPlaneOptions {
  readonly identity: Identity;
  /** Of the pod's own workload record. */
  readonly ownUid: string;
  readonly gateway: { readonly namespace: string; readonly name: string };
  readonly network: string;
  readonly trustDomains: TrustDomains;
  readonly tunnels: TunnelSettings;
  /** How long a client of an undeclared port is waited for. */
  readonly protocolDetectionMs: number;
}

/** What the parts of the request path are made from. */
export interface PartsContext {
  readonly mesh: ProxyState;
  readonly store: WaypointStore;
  readonly dial: OpenWire;
  readonly tables: RouteTables;
}

/** What carries requests and connections on. */
export interface Parts {
  readonly upstreams: Pick<Upstreams, "connect">;
  readonly serveHttp: ServeHttp;
  readonly authorize: AuthorizeConnection;
  /** Compiles policies that are about to be in force. @default when the first request needs them */
  readonly prepare?: (policies: L7Policies) => Promise<void>;
  /** Everybody has gone; what is still to be told to services can be told. Never rejects. */
  readonly settle?: () => Promise<void>;
  /** Everything has ended. */
  readonly close: () => void;
}

export interface DataPlaneDeps {
  readonly parts: (context: PartsContext) => Parts;
  readonly record: RecordConnection;
  /** A CONNECT was refused before there was anything to carry. */
  readonly onRefused: OnRefused;
  /** A connection did not become a tunnel. */
  readonly onTunnelRefused: (peer: PeerAddresses, why: ConnectionFailure) => void;
  readonly onInternalError: (error: unknown) => void;
  readonly memoryIsShort: () => boolean;
  readonly logger: Logger;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export class DataPlane {
  readonly mesh: ProxyState;
  readonly store: WaypointStore;
  readonly connections = new Connections();
  readonly #peers = new PeerWatch();
  readonly #ends = { batcher: new FlushBatcher(), stalled: new StalledStreams() };
  readonly #tables: RouteTables;
  readonly #certificates: CertificateStore;
  readonly #hbone: HboneServer;
  readonly #dialer: HboneDialer;
  readonly #reporter: ConnectionReporter;
  readonly #keepalive: TunnelKeepalive;
  readonly #listener: net.Server;
  readonly #sweeper: NodeJS.Timeout;
  readonly #parts: Parts;
  #drained: Promise<void> | undefined;

  constructor(options: DataPlaneOptions, deps: DataPlaneDeps) {
    this.mesh = new ProxyState({ network: options.network });
    this.#tables = new RouteTables(SLICES, (problem) => tellProblem(problem, deps.logger));
    this.store = new WaypointStore((resources) => this.#prepare(resources, deps));
    this.#reporter = new ConnectionReporter(deps.record);
    // The only identity is the waypoint's own, which is being fetched anyway.
    this.#certificates = new CertificateStore(
      () => undefined,
      ({ certificate }) => {
        this.#hbone.setCertificate(certificate);
        this.#dialer.rotated();
      },
    );
    this.#dialer = this.#createDialer(options, deps);
    this.#parts = this.#createParts(deps);
    this.#hbone = this.#createServer(options, deps, this.#createHandler(options, deps));
    this.#listener = net.createServer({ noDelay: true }, (socket) => this.#hbone.accept(socket));
    this.#keepalive = new TunnelKeepalive(() => this.#sessions());
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS).unref();
  }

  /** Resolves with the port. Rejects if it cannot be had. */
  async listen(address: { readonly ip: IpAddress | undefined; readonly port: number }) {
    const host = address.ip;
    this.#listener.listen({ ...(host && { host }), port: address.port, backlog: LISTENER_BACKLOG });
    await once(this.#listener, "listening");
    this.#keepalive.start();
    const bound = this.#listener.address();
    return typeof bound === "object" && bound !== null ? bound.port : address.port;
  }

  /** New tunnels both ways use it; those that stand keep theirs until their streams are over. */
  putCertificate(certificate: WorkloadCertificate): void {
    this.#certificates.put(certificate);
  }

  /** To endpoints. */
  tunnels(): Iterable<HboneTunnel> {
    return this.#dialer.tunnels();
  }

  /** Revoked peers are refused from now on, and those that are connected are cut off. */
  setRevocations(lists: readonly RevocationList[]): void {
    this.#peers.setLists(lists);
  }

  /**
   * Goes on as before until everybody has heard that this pod is going, then stops accepting, lets
   * connections end until the deadline, and cuts the rest.
   */
  drain(deadlineMs: number): Promise<void> {
    this.#drained ??= this.#drain(deadlineMs);
    return this.#drained;
  }

  async #drain(deadlineMs: number): Promise<void> {
    await sleep(Math.min(DRAIN_HEARSAY_MS, deadlineMs));
    this.#listener.close();
    this.#hbone.drain(Math.min(DRAIN_NOTICE_MS, deadlineMs));
    this.connections.drain();
    const late = setTimeout(() => this.connections.destroy(), deadlineMs);
    await Promise.race([
      this.connections.whenIdle(),
      sleep(deadlineMs + DRAIN_CUT_MS, undefined, { ref: false }),
    ]);
    clearTimeout(late);
    await this.#parts.settle?.();
    this.#hbone.destroy();
    this.#parts.close();
    this.#dialer.close();
    this.#keepalive.stop();
    clearInterval(this.#sweeper);
  }

  #createDialer(options: DataPlaneOptions, { random }: DataPlaneDeps): HboneDialer {
    const { identity, ownUid, trustDomains, tunnels } = options;
    const trust = { certificates: this.#certificates, peers: this.#peers, trustDomains };
    const dialer = new HboneDialer({
      mesh: this.mesh,
      identity,
      ownUid,
      tunnels: { ...this.#ends, ...trust, tuning: tunnels },
      random,
    });
    this.mesh.onChange(({ rebound }) => {
      for (const uid of rebound) dialer.evict(uid);
    });
    return dialer;
  }

  #createParts({ parts }: DataPlaneDeps): Parts {
    const { mesh, store } = this;
    const dial = createDialer({ hbone: this.#dialer, batcher: this.#ends.batcher });
    return parts({ mesh, store, dial, tables: this.#tables });
  }

  #createHandler(options: DataPlaneOptions, deps: DataPlaneDeps): ConnectHandler {
    const { connections, mesh, store } = this;
    const parts = this.#parts;
    const { random } = deps;
    const reporter = this.#reporter;
    const tcp = new TcpProxy({ ...parts, standing: connections, reporter, random });
    store.onChange(() => tcp.reauthorize());
    return new ConnectHandler({
      downstream: { mesh, store, network: options.network, gateway: options.gateway },
      ends: this.#ends,
      connections,
      serveHttp: parts.serveHttp,
      carryTcp: (client) => tcp.carry(client),
      onRefused: deps.onRefused,
      protocolDetectionMs: options.protocolDetectionMs,
    });
  }

  #createServer(
    { trustDomains, tunnels }: DataPlaneOptions,
    { memoryIsShort, onInternalError, onTunnelRefused }: DataPlaneDeps,
    handler: ConnectHandler,
  ): HboneServer {
    return new HboneServer({
      peers: this.#peers,
      trustDomains,
      http2: tunnels.http2,
      memoryIsShort,
      onStream: (stream, headers, peer) => handler.handle(stream, headers, peer),
      events: {
        accepted: () => this.connections.accepted(),
        decided: () => this.connections.decided(),
        acceptFailed: () => undefined,
        refused: onTunnelRefused,
        internalError: onInternalError,
      },
    });
  }

  /** Before a change is in force, so that no request waits for anything to be compiled. */
  async #prepare(resources: Iterable<WaypointResource>, deps: DataPlaneDeps): Promise<void> {
    for (const resource of resources) {
      if (resource.kind === "backend") continue;
      await this.#parts.prepare?.(resource.policies).catch(deps.onInternalError);
      if (resource.kind === "gateway") continue;
      for (const { http } of resource.ports) {
        if (http !== undefined) await this.#tables.prepare(http).catch(deps.onInternalError);
      }
    }
  }

  #sweep(): void {
    const now = Date.now();
    this.#reporter.reportProgress();
    this.#peers.sweep(now);
    this.#dialer.sweep(now);
    this.#hbone.sweep();
  }

  *#sessions(): Generator<Http2Session> {
    yield* this.#hbone.sessions();
    for (const { session } of this.#dialer.tunnels()) yield session;
  }
}

const SLICES = { now: () => performance.now(), pause: () => turn() };

function tellProblem(problem: RouteProblem | MeshError, logger: Logger): void {
  if (!("origin" in problem)) {
    logger.error("routes are answered with 500", { why: describeError(problem) });
    return;
  }
  const { kind, namespace, name, rule } = problem.origin;
  const where = `${kind} ${namespace}/${name} rule ${rule}`;
  logger.warn("a match holds for no request", { where, why: problem.message });
}
