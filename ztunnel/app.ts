/** ztunnel put together: the control thread's parts, and the data workers that they feed. */
import { Registry } from "prom-client";
import { buildInfo } from "#common/admin/build-info.ts";
import { certificateStates } from "#common/admin/certificate-dump.ts";
import { registerUnreadablePolicies } from "#common/admin/policy-gauge.ts";
import { registerBuildInfo, XdsClientMetrics } from "#common/admin/process-metrics.ts";
import { serveMetrics, serveReadiness } from "#common/admin/status-servers.ts";
import type { ControlPlaneEndpoint } from "#common/config/proxy-environment.ts";
import { CaClient } from "#common/identity/ca-client.ts";
import { CertManager, SYSTEM_CLOCK } from "#common/identity/cert-manager.ts";
import type { TrustFiles } from "#common/identity/trust-files.ts";
import { ProxyState, type StateUpdate } from "#common/mesh-state/proxy-state.ts";
import { splitUpdate } from "#common/mesh-state/state-update.ts";
import { describeError } from "#common/runtime/errors.ts";
import type { RunningServer } from "#common/runtime/http-server.ts";
import type { MemoryWatch } from "#common/runtime/memory-watch.ts";
import type { Host } from "#common/runtime/process-host.ts";
import { notifyWhenReady } from "#common/runtime/readiness-notice.ts";
import type { LevelControl, Logger } from "#common/telemetry/logger.ts";
import { ControlPlaneChannel } from "#common/xds/control-plane-channel.ts";
import { ztunnelNode } from "#common/xds/node-identity.ts";
import { serveAdmin } from "./admin/admin-server.ts";
import { writeConfigDump } from "./admin/config-dump.ts";
import { podStates } from "./admin/dump-sources.ts";
import { CaptureReporter } from "./capture-reporter.ts";
import { workersSink } from "./capture-wiring.ts";
import type { ZtunnelConfig } from "./config.ts";
import { createPodSource } from "./create-pod-source.ts";
import type { DnsProxy } from "./dns/dns-proxy.ts";
import { createDnsProxy, Synced, withDns, withDnsOf } from "./dns-wiring.ts";
import { Enrolment } from "./enrolment.ts";
import { STATE_UPDATE_PIECE } from "./limits.ts";
import { loadLocalXds } from "./local-xds/load-local-xds.ts";
import { MeshSubscription } from "./mesh-subscription.ts";
import { PodProcesses } from "./node/pod-processes.ts";
import type { PodSource } from "./pod-source.ts";
import { DataWorkers } from "./proxy/data-workers.ts";
import type { TelemetrySink } from "./telemetry-sink.ts";
import { createTelemetry, watchMemory } from "./telemetry-wiring.ts";
import { watchTrust } from "./trust-wiring.ts";

export class Ztunnel {
  readonly #config: ZtunnelConfig;
  readonly #host: Host;
  readonly #rootLogger: Logger & LevelControl;
  readonly #logger: Logger;
  readonly #registry = new Registry();
  readonly #processes = new PodProcesses();
  readonly #memory: MemoryWatch;
  readonly #telemetry: TelemetrySink;
  /** Undefined where a CNI agent captures the pods, and says what became of them. */
  readonly #reporter: CaptureReporter | undefined;
  readonly #certificates: CertManager;
  readonly #enrolment: Enrolment;
  readonly #state: ProxyState;
  /** Undefined where all state is in a local file. */
  readonly #mesh: MeshSubscription | undefined;
  /** Resolved when the control plane has answered with what the mesh knows, or a file has. */
  readonly #synced = new Synced();
  readonly #dns: DnsProxy | undefined;
  readonly #stopping = new AbortController();
  #workers: DataWorkers | undefined;
  #trust: TrustFiles | undefined;
  #pods: PodSource | undefined;
  #servers: readonly RunningServer[] = [];
  #running: Promise<unknown> | undefined;
  #drained: Promise<void> | undefined;

  private constructor(config: ZtunnelConfig, host: Host) {
    this.#config = config;
    this.#host = host;
    const { logger, connections } = createTelemetry(config, host, this.#registry);
    this.#rootLogger = logger;
    this.#telemetry = connections;
    this.#logger = logger.scope("ztunnel");
    this.#memory = watchMemory(config.memoryCgroupDir, () => this.#workers, this.#logger);
    this.#reporter = this.#createReporter();
    this.#certificates = this.#createCertificates();
    this.#enrolment = new Enrolment({
      trustDomain: config.trustDomains[0],
      certificates: this.#certificates,
      send: (reports) => this.#reporter?.send(reports),
    });
    const { network, podNamespace: rootNamespace, preferredServiceNamespace } = config;
    this.#state = new ProxyState({ network, rootNamespace, preferredServiceNamespace });
    registerUnreadablePolicies(this.#registry, this.#state);
    this.#dns = createDnsProxy(config, { ...this.#shared, synced: this.#synced });
    this.#mesh = this.#subscribe();
    if (this.#mesh === undefined) this.#synced.done();
  }

  /** Starts everything; rejects if a port cannot be had or a worker does not start. */
  static async start(config: ZtunnelConfig, host: Host): Promise<Ztunnel> {
    const ztunnel = new Ztunnel(config, host);
    await ztunnel.#start();
    return ztunnel;
  }

  /** Stops accepting, lets connections finish until the deadline, ends everything. */
  drain(): Promise<void> {
    this.#drained ??= this.#drain();
    return this.#drained;
  }

  async #start(): Promise<void> {
    const { nodeName } = this.#config;
    for (const warning of this.#config.warnings) this.#logger.warn(warning);
    registerBuildInfo(this.#registry, "ztunnel", this.#host.version);
    const workers = await this.#startWorkers();
    this.#workers = workers;
    this.#trust = await watchTrust(this.#config, {
      certificates: this.#certificates,
      workers,
      registry: this.#registry,
      logger: this.#rootLogger,
    });
    await this.#loadLocalXds();
    const pods = this.#createPodSource(workers);
    this.#pods = pods;
    this.#servers = await this.#serve();
    const { signal } = this.#stopping;
    this.#running = Promise.all([
      this.#mesh?.client.run(signal),
      pods.run(signal),
      this.#memory.run(signal),
    ]);
    this.#notifySupervisor();
    this.#logger.info("ztunnel started", { node: nodeName, workers: workers.count });
  }

  async #loadLocalXds(): Promise<void> {
    const { localXds, trustDomains } = this.#config;
    if (localXds === undefined) return;
    this.#applyState(await loadLocalXds(localXds, { trustDomain: trustDomains[0] }));
    this.#logger.info("local configuration loaded", this.#state.counts);
  }

  get #shared() {
    return { processes: this.#processes, registry: this.#registry, state: this.#state };
  }

  #createPodSource(workers: DataWorkers): PodSource {
    const served = withDns(workersSink(workers, this.#enrolment), this.#dns);
    const sink = this.#synced.gate(served, this.#stopping.signal);
    return createPodSource(this.#config, {
      ...this.#shared,
      sink: this.#mesh?.following(sink) ?? sink,
      workers: workers.count,
      logger: this.#rootLogger,
      report: (changes) => this.#enrolment.report(changes),
      prepare: (captured) => withDnsOf(captured, this.#dns),
      channel: () => this.#config.xds && this.#channel(this.#config.xds),
    });
  }

  async #drain(): Promise<void> {
    this.#logger.info("draining", { deadlineMs: this.#config.drainDeadlineMs });
    await this.#pods?.depart();
    this.#stopping.abort();
    if (this.#config.readinessFd !== undefined) await this.#closeServers();
    await this.#running;
    await this.#pods?.stop();
    const { drainDeadlineMs: ms } = this.#config;
    await Promise.all([this.#workers?.drain(ms), this.#dns?.drain(ms)]);
    await this.#pods?.close();
    this.#trust?.close();
    this.#certificates.close();
    this.#reporter?.close();
    await this.#closeServers();
    this.#logger.info("drained");
  }

  async #closeServers(): Promise<void> {
    const servers = this.#servers;
    this.#servers = [];
    await Promise.all(servers.map((server) => server.close()));
  }

  #notifySupervisor(): void {
    const { readinessFd } = this.#config;
    if (readinessFd === undefined) return;
    notifyWhenReady(readinessFd, () => this.#pending(), this.#stopping.signal).catch((error) =>
      this.#logger.warn("readiness is not told", { why: describeError(error) }),
    );
  }

  #startWorkers(): Promise<DataWorkers> {
    const { trustDomains, network, keepSourceAddress, sameNodeFastPath, ...config } = this.#config;
    const how = { keepSourceAddress, sameNodeFastPath, onDemand: config.xdsOnDemand };
    const { workerThreads, preferredServiceNamespace, podNamespace: rootNamespace } = config;
    const who = { trustDomains, network, rootNamespace, preferredServiceNamespace };
    return DataWorkers.start(
      workerThreads,
      { ...who, tuning: config.tuning, ...how },
      {
        onAddressWanted: (name) => this.#mesh?.ask(name),
        onTelemetry: (worker, batch) => this.#telemetry.record(worker, batch),
        onCertificateWanted: (identity) => {
          const certificate = this.#certificates.current(identity);
          if (certificate !== undefined) this.#workers?.putCertificate(certificate);
        },
        onInternalError: (details) => this.#logger.error("a connection met a bug", { details }),
        onFatal: (error) => {
          this.#logger.error("a data worker died", { why: describeError(error) });
          this.#host.exit(1);
        },
      },
    );
  }

  #serve(): Promise<RunningServer[]> {
    const { adminPort, metricsPort, readinessPort, logLevels } = this.#config;
    return Promise.all([
      serveAdmin(adminPort, {
        configDump: () => this.#configDump(),
        logger: this.#rootLogger,
        initialLogLevels: logLevels,
        quit: () => void this.drain().then(() => this.#host.exit(0)),
      }),
      serveMetrics(metricsPort, this.#registry),
      serveReadiness(readinessPort, () => this.#pending()),
    ]);
  }

  async #configDump(): Promise<AsyncIterable<string>> {
    const connections = (await this.#workers?.listConnections()) ?? [];
    return writeConfigDump({
      state: this.#state,
      certificates: [...certificateStates(this.#certificates)],
      pods: podStates(this.#pods?.pods() ?? [], connections),
      version: buildInfo(this.#host.version, this.#host.env),
      config: this.#config,
    });
  }

  #createReporter(): CaptureReporter | undefined {
    const { xds, inpodSocket, nodeName } = this.#config;
    if (xds === undefined || inpodSocket !== undefined) return undefined;
    return new CaptureReporter(this.#channel(xds), nodeName, this.#rootLogger.scope("capture"));
  }

  #createCertificates(): CertManager {
    const { ca: endpoint, certificateTtlSeconds: ttlSeconds } = this.#config;
    const ca = new CaClient(this.#channel(endpoint), { ttlSeconds });
    return new CertManager({
      fetch: (identity) => ca.fetch(identity),
      onCertificate: (certificate) => {
        this.#workers?.putCertificate(certificate);
        this.#enrolment.certificateArrived(certificate.identity);
      },
      logger: this.#rootLogger.scope("identity"),
      clock: SYSTEM_CLOCK,
      random: Math.random,
    });
  }

  #subscribe(): MeshSubscription | undefined {
    const { xds, xdsOnDemand, inpodSocket, podNamespace: rootNamespace, ...config } = this.#config;
    if (xds === undefined) return undefined;
    const who = { ...config, podNamespace: rootNamespace, ip: config.instanceIp ?? "" };
    return new MeshSubscription(xdsOnDemand, ztunnelNode({ ...who, env: this.#host.env }), {
      channel: this.#channel(xds),
      onState: (update) => this.#applyState(update),
      onCapturedPods:
        inpodSocket === undefined
          ? (upserts, removed) => this.#pods?.apply(upserts, removed)
          : undefined,
      onAnswers: (answers) => this.#workers?.answerAddresses(answers),
      logger: this.#rootLogger.scope("xds"),
      counters: new XdsClientMetrics(this.#registry),
      onConnected: () => this.#reporter?.repeat(),
      onSynced: () => this.#synced.done(),
      registry: this.#registry,
      rootNamespace,
    });
  }

  #applyState(update: StateUpdate): void {
    this.#state.apply(update);
    for (const piece of splitUpdate(update, STATE_UPDATE_PIECE)) this.#workers?.applyState(piece);
  }

  /** What keeps this node from being ready: types never answered, pods never tried. */
  #pending(): readonly string[] {
    return [
      ...(this.#memory.isShort ? ["its memory is short"] : []),
      ...(this.#mesh?.client.pending ?? []),
      ...(this.#pods?.pending() ?? ["its start"]),
    ];
  }

  #channel(endpoint: ControlPlaneEndpoint): ControlPlaneChannel {
    const { tokenFile, clusterId } = this.#config;
    return new ControlPlaneChannel({ ...endpoint, tokenFile, clusterId });
  }
}
