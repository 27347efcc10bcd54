/** The waypoint put together: the control plane's word in, HBONE in and out. */
import { Registry } from "prom-client";
import { buildInfo } from "#common/admin/build-info.ts";
import { certificateStates } from "#common/admin/certificate-dump.ts";
import { registerCertificateMetrics } from "#common/admin/certificate-metrics.ts";
import { registerBuildInfo, XdsClientMetrics } from "#common/admin/process-metrics.ts";
import { serveMetrics, serveReadiness } from "#common/admin/status-servers.ts";
import type { ControlPlaneEndpoint } from "#common/config/proxy-environment.ts";
import { CaClient } from "#common/identity/ca-client.ts";
import { CertManager, SYSTEM_CLOCK } from "#common/identity/cert-manager.ts";
import { TrustFiles } from "#common/identity/trust-files.ts";
import { makeIdentity } from "#common/model/identity.ts";
import { formatSocketAddress } from "#common/model/ip.ts";
import { describeError } from "#common/runtime/errors.ts";
import type { RunningServer } from "#common/runtime/http-server.ts";
import { MemoryWatch } from "#common/runtime/memory-watch.ts";
import type { Host } from "#common/runtime/process-host.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { ControlPlaneChannel } from "#common/xds/control-plane-channel.ts";
import { DeltaClient } from "#common/xds/delta-client.ts";
import { waypointNode } from "#common/xds/node-identity.ts";
import { serveAdmin } from "./admin/admin-server.ts";
import { writeClusters } from "./admin/clusters.ts";
import { writeConfigDump } from "./admin/config-dump.ts";
import { writeConnections } from "./admin/connections.ts";
import type { WaypointConfig } from "./config.ts";
import { DataPlane } from "./data-plane.ts";
import type { CallService } from "./filter/service-caller.ts";
import type { Forwarder } from "./http/engine.ts";
import { loadEngine } from "./load-engine.ts";
import { createRequestPath, type RequestPathTelemetry } from "./request-path.ts";
import { createRequestTelemetry, type RequestTelemetryParts } from "./request-telemetry-wiring.ts";
import { waypointHandlers } from "./state/subscription.ts";
import { createTelemetry, type Telemetry } from "./telemetry-wiring.ts";

export class Waypoint {
  readonly #config: WaypointConfig;
  readonly #host: Host;
  readonly #engine: Forwarder;
  readonly #registry = new Registry();
  readonly #telemetry: Telemetry;
  readonly #logger: Logger;
  readonly #memory: MemoryWatch;
  readonly #certificates: CertManager;
  readonly #dataPlane: DataPlane;
  readonly #xds: DeltaClient;
  readonly #trust: TrustFiles;
  readonly #stopping = new AbortController();
  #servers: readonly RunningServer[] = [];
  #hbonePort = 0;
  #running: Promise<unknown> | undefined;
  #requests: RequestTelemetryParts | undefined;
  #listening = false;
  #drained: Promise<void> | undefined;

  private constructor(config: WaypointConfig, host: Host, engine: Forwarder) {
    this.#config = config;
    this.#host = host;
    this.#engine = engine;
    this.#telemetry = createTelemetry(config, host, this.#registry);
    this.#logger = this.#telemetry.logger.scope("waypoint");
    this.#memory = new MemoryWatch({
      dir: config.memoryCgroupDir,
      onChange: (short, use) => {
        if (short) this.#logger.warn("memory is short: new tunnels are refused", { ...use });
        else this.#logger.info("there is memory again: new tunnels are taken", { ...use });
      },
    });
    this.#dataPlane = this.#createDataPlane();
    this.#certificates = this.#createCertificates();
    this.#xds = this.#subscribe();
    this.#trust = new TrustFiles({
      rootCertFile: config.ca.rootCertFile,
      crlPath: config.crlPath,
      certificates: this.#certificates,
      onLists: (lists) => this.#dataPlane.setRevocations(lists),
      logger: this.#telemetry.logger.scope("identity"),
    });
  }

  /** Starts everything; rejects if a port cannot be had. */
  static async start(config: WaypointConfig, host: Host): Promise<Waypoint> {
    const waypoint = new Waypoint(config, host, await loadEngine(config.engine));
    await waypoint.#start();
    return waypoint;
  }

  /** The ports that were bound: those of the configuration, unless these were 0. */
  get ports(): Readonly<Record<"hbone" | "admin" | "metrics" | "readiness", number>> {
    const [admin = 0, metrics = 0, readiness = 0] = this.#servers.map(({ port }) => port);
    return { hbone: this.#hbonePort, admin, metrics, readiness };
  }

  /** Stops accepting, lets what is under way finish until the deadline, ends everything. */
  drain(): Promise<void> {
    this.#drained ??= this.#drain();
    return this.#drained;
  }

  async #start(): Promise<void> {
    const { listenIp, hbonePort, podName, gatewayName } = this.#config;
    registerBuildInfo(this.#registry, "waypoint", this.#host.version);
    registerCertificateMetrics(this.#registry, {
      certificates: this.#certificates,
      crl: () => this.#trust.crlStatus,
    });
    await this.#trust.start();
    this.#certificates.retain(this.#identity);
    const port = await this.#dataPlane.listen({ ip: listenIp, port: hbonePort });
    this.#hbonePort = port;
    this.#listening = true;
    this.#servers = await this.#serve();
    const { signal } = this.#stopping;
    this.#running = Promise.all([this.#xds.run(signal), this.#memory.run(signal)]);
    const engine = this.#engine.name;
    this.#logger.info("waypoint started", { gateway: gatewayName, pod: podName, port, engine });
  }

  async #drain(): Promise<void> {
    const { drainDeadlineMs } = this.#config;
    this.#logger.info("draining", { deadlineMs: drainDeadlineMs });
    this.#listening = false;
    // What the mesh says still counts for what is under way.
    await this.#dataPlane.drain(drainDeadlineMs);
    this.#requests?.requests.flush();
    this.#requests?.spans.close();
    this.#stopping.abort();
    await this.#running;
    this.#trust.close();
    this.#certificates.close();
    await Promise.all(this.#servers.map((server) => server.close()));
    this.#logger.info("drained");
  }

  get #identity() {
    const { trustDomains, podNamespace, serviceAccount } = this.#config;
    return makeIdentity(trustDomains[0], podNamespace, serviceAccount);
  }

  #createDataPlane(): DataPlane {
    const { podNamespace: namespace, podName, gatewayName, clusterId, ...config } = this.#config;
    const logger = this.#telemetry.logger.scope("listener");
    const ownUid = `${clusterId}//Pod/${namespace}/${podName}`;
    return new DataPlane(
      {
        ...config,
        identity: this.#identity,
        ownUid,
        gateway: { namespace, name: gatewayName },
      },
      {
        parts: (context) =>
          createRequestPath(context, {
            ownIdentity: this.#identity,
            ownUid,
            http1: this.#engine,
            telemetry: (call) => this.#traceRequests(call),
          }),
        record: this.#telemetry.record,
        onRefused: (why, { identity }, asked) => {
          this.#telemetry.refused(why);
          const authority = typeof asked === "string" ? asked.slice(0, 262) : undefined;
          logger.info("CONNECT refused", { why: why.message, peer: identity.uri, authority });
        },
        onTunnelRefused: ({ address }, why) => {
          this.#telemetry.refused(why);
          const from = address && formatSocketAddress(address);
          logger.info("tunnel refused", { why: why.message, from });
        },
        onInternalError: (error) =>
          logger.error("a connection met a bug", { details: describeError(error) }),
        memoryIsShort: () => this.#memory.isShort,
        logger: this.#telemetry.logger.scope("proxy"),
        random: Math.random,
      },
    );
  }

  #traceRequests(call: CallService): RequestPathTelemetry {
    const parts = createRequestTelemetry(this.#config, this.#telemetry, this.#registry, call);
    this.#requests = parts;
    const { stage, sink } = parts.requests;
    return { stage, sink, settle: () => this.#sendSpans() };
  }

  /** While there are connections to send them on. */
  async #sendSpans(): Promise<void> {
    this.#requests?.requests.flush();
    await this.#requests?.spans.flush();
  }

  #createCertificates(): CertManager {
    const { ca: endpoint, certificateTtlSeconds: ttlSeconds } = this.#config;
    const ca = new CaClient(this.#channel(endpoint), { ttlSeconds, ownIdentity: true });
    return new CertManager({
      fetch: (identity) => ca.fetch(identity),
      onCertificate: (certificate) => this.#dataPlane.putCertificate(certificate),
      logger: this.#telemetry.logger.scope("identity"),
      clock: SYSTEM_CLOCK,
      random: Math.random,
    });
  }

  #subscribe(): DeltaClient {
    const { mesh, store } = this.#dataPlane;
    const { instanceIp, ...who } = this.#config;
    return new DeltaClient(
      {
        channel: this.#channel(this.#config.xds),
        handlers: waypointHandlers(mesh, store),
        logger: this.#telemetry.logger.scope("xds"),
        counters: new XdsClientMetrics(this.#registry),
      },
      waypointNode({ ...who, ip: instanceIp ?? "", env: this.#host.env }),
    );
  }

  #serve(): Promise<RunningServer[]> {
    const { adminPort, metricsPort, readinessPort, logLevels } = this.#config;
    const { mesh, store, connections } = this.#dataPlane;
    return Promise.all([
      serveAdmin(adminPort, {
        configDump: () =>
          writeConfigDump({
            state: store.current,
            mesh,
            certificates: [...certificateStates(this.#certificates)],
            version: buildInfo(this.#host.version, this.#host.env),
            config: this.#config,
          }),
        clusters: () => writeClusters(store.current, mesh),
        connections: () => {
          const tunnels = this.#dataPlane.tunnels();
          return writeConnections({ connections: connections.list(), tunnels, now: Date.now() });
        },
        logger: this.#telemetry.logger,
        initialLogLevels: logLevels,
        quit: () => void this.drain().then(() => this.#host.exit(0)),
      }),
      serveMetrics(metricsPort, {
        contentType: this.#registry.contentType,
        metrics: () => {
          this.#requests?.requests.flush();
          return this.#registry.metrics();
        },
      }),
      serveReadiness(readinessPort, () => this.#pending(), 503),
    ]);
  }

  /** What keeps this waypoint from being ready. */
  #pending(): readonly string[] {
    const available = [...this.#certificates.statuses()].some(
      ({ status }) => status.state === "available",
    );
    return [
      ...(this.#listening ? [] : ["its listener"]),
      ...(available ? [] : ["its certificate"]),
      ...(this.#dataPlane.store.current.gateway === undefined ? ["its Gateway"] : []),
      ...(this.#memory.isShort ? ["its memory is short"] : []),
      ...this.#xds.pending,
    ];
  }

  #channel(endpoint: ControlPlaneEndpoint): ControlPlaneChannel {
    const { tokenFile, clusterId } = this.#config;
    return new ControlPlaneChannel({ ...endpoint, tokenFile, clusterId });
  }
}
