/** istiod-lite put together: configuration in, resources and certificates out. */
import { collectDefaultMetrics, Registry as MetricsRegistry } from "prom-client";
import type { ObjectChange } from "#common/kubernetes/objects.ts";
import { type RunningServer, serveHttp } from "#common/runtime/http-server.ts";
import type { Output } from "#common/runtime/process-host.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { createProcessLog } from "#common/telemetry/process-log.ts";
import { type Caller, ZTUNNEL_ACCOUNT } from "./ca/caller.ts";
import { LiveAuthority } from "./ca/live-authority.ts";
import { countHeldObjects, showLeadership } from "./config/config-metrics.ts";
import { createPlatform } from "./config/create-platform.ts";
import type { Platform } from "./config/platform.ts";
import type { DropReason } from "./connection-gate.ts";
import { OwnedObjectsController } from "./controllers/owned-objects.ts";
import { PolicyStatusController } from "./controllers/policy-status.ts";
import { answerDebug } from "./debug.ts";
import { EndpointMetrics } from "./endpoint-metrics.ts";
import { GrpcEndpoint, serverNames } from "./grpc-endpoint.ts";
import { createGrpcServer } from "./grpc-server.ts";
import type { IstiodOptions } from "./options.ts";
import { Registry } from "./registry/registry.ts";
import { DEFAULT_REGISTRY_OPTIONS, type RegistryOptions } from "./registry/registry-options.ts";
import { countUnavailableWaypoints } from "./waypoint-metrics.ts";
import { createWebhook, type Webhook } from "./webhook/create-webhook.ts";
import { AbsentZtunnels } from "./xds/absent-ztunnels.ts";
import { AdsServer } from "./xds/ads-server.ts";
import { CaptureVerdicts } from "./xds/capture-verdicts.ts";
import { XdsMetrics } from "./xds/xds-metrics.ts";

export class Istiod {
  readonly #options: IstiodOptions;
  readonly #rootLogger: Logger;
  readonly #logger: Logger;
  readonly #platform: Platform;
  readonly #authority: LiveAuthority;
  readonly #registry: Registry;
  readonly #metrics: MetricsRegistry;
  readonly #statuses: PolicyStatusController;
  readonly #owned: OwnedObjectsController;
  readonly #absent: AbsentZtunnels;
  readonly #ads: AdsServer;
  readonly #verdicts: CaptureVerdicts;
  readonly #endpoint: GrpcEndpoint;
  #debug: RunningServer | undefined;
  #webhook: Webhook | undefined;
  #xdsPort = 0;
  #webhookPort = 0;
  #ready = false;

  private constructor(
    options: IstiodOptions,
    logger: Logger,
    metrics: MetricsRegistry,
    platform: Platform,
    authority: LiveAuthority,
  ) {
    this.#options = options;
    this.#metrics = metrics;
    this.#rootLogger = logger;
    this.#logger = logger.scope("istiod");
    this.#platform = platform;
    this.#authority = authority;
    const { source, leadership, ownedObjects, reportWriter, statusWriter } = platform;
    this.#registry = new Registry(registryOptions(options));
    this.#statuses = new PolicyStatusController({
      writer: statusWriter,
      logger: logger.scope("status"),
      leadership,
    });
    this.#owned = new OwnedObjectsController({
      writer: ownedObjects,
      logger: logger.scope("owned"),
      isWhole: () => source.isWhole,
      leadership,
    });
    collectDefaultMetrics({ register: this.#metrics });
    countHeldObjects(this.#metrics, source);
    showLeadership(this.#metrics, leadership);
    countUnavailableWaypoints(this.#metrics, this.#registry);
    this.#absent = new AbsentZtunnels({
      resources: this.#registry.resources,
      writer: reportWriter,
      logger: logger.scope("ztunnels"),
      hasReadyZtunnel: (node) => platform.hasReadyZtunnel(node),
    });
    this.#ads = this.#createAds();
    this.#verdicts = this.#createVerdicts();
    this.#endpoint = this.#createEndpoint();
  }

  /**
   * Loads the CA, reads all configuration, then serves. Rejects where one of them cannot be done.
   */
  static async start(options: IstiodOptions, output: Output): Promise<Istiod> {
    const metrics = new MetricsRegistry();
    const { logLevel: level, logFormat: format } = options;
    const { logger } = createProcessLog({ level, format }, output, metrics);
    const platform = createPlatform(options, logger);
    let istiod: Istiod | undefined;
    try {
      const store = platform.ca;
      const authority = await LiveAuthority.load({ store, logger: logger.scope("ca") });
      const waypointImage = options.waypointImage ?? (await platform.ownImage());
      const known = { ...options, ...(waypointImage !== undefined && { waypointImage }) };
      istiod = new Istiod(known, logger, metrics, platform, authority);
      await istiod.#start();
      return istiod;
    } catch (error) {
      await (istiod ?? platform).close();
      throw error;
    }
  }

  /** The ports that were bound: those of the options, unless these were 0. */
  get ports(): { readonly xds: number; readonly debug: number; readonly webhook: number } {
    return { xds: this.#xdsPort, debug: this.#debug?.port ?? 0, webhook: this.#webhookPort };
  }

  /** Ends streams so that proxies reconnect elsewhere, gives calls a moment, then cuts them. */
  async close(): Promise<void> {
    this.#ready = false;
    await this.#platform.source.close();
    this.#ads.close();
    this.#absent.close();
    await this.#webhook?.close();
    await this.#endpoint.close();
    await this.#statuses.close();
    await this.#owned.close();
    await this.#platform.close();
    await this.#debug?.close();
  }

  #createAds(): AdsServer {
    return new AdsServer({
      absent: this.#absent,
      resources: this.#registry.resources,
      tokens: this.#platform.tokens,
      isNodeProxy: (caller) => this.#isNodeProxy(caller),
      waypointOf: ({ namespace, podName = "" }) =>
        this.#registry.findPod(namespace, podName)?.waypoint,
      isKnown: (caller) => this.#isKnown(caller),
      metrics: new XdsMetrics(this.#metrics, this.#registry.resources),
      logger: this.#rootLogger.scope("ads"),
    });
  }

  #createVerdicts(): CaptureVerdicts {
    return new CaptureVerdicts({
      tokens: this.#platform.tokens,
      isNodeProxy: (caller) => this.#isNodeProxy(caller),
      registry: this.#registry,
      logger: this.#rootLogger.scope("capture"),
    });
  }

  #createEndpoint(): GrpcEndpoint {
    const authority = this.#authority;
    const { reportWriter: writer, tokens } = this.#platform;
    const metrics = new EndpointMetrics(this.#metrics, {
      connections: () => this.#endpoint.connections,
      rootsNotAfter: () => authority.current.rootsNotAfter,
    });
    const server = createGrpcServer({
      ads: this.#ads,
      authority,
      registry: this.#registry,
      tokens,
      isNodeProxy: (caller) => this.#isNodeProxy(caller),
      writer,
      verdicts: this.#verdicts,
      areZtunnelsRemoved: (podName) => this.#platform.areZtunnelsRemoved(podName),
      trustDomain: this.#options.trustDomain,
      logger: this.#rootLogger,
      onProved: (peer) => this.#endpoint.proved(peer),
      onRefused: () => metrics.refused(),
    });
    const onDropped = (reason: DropReason): void => metrics.dropped(reason);
    const { podNamespace, revision } = this.#options;
    const names = serverNames(podNamespace, revision);
    return new GrpcEndpoint({ server, authority, logger: this.#logger, onDropped, names });
  }

  #createWebhook(): Webhook | undefined {
    const { listen: host, podNamespace, revision, webhookPort: port } = this.#options;
    if (port === undefined) return undefined;
    return createWebhook({
      ...{ host, port },
      registry: registryOptions(this.#options),
      authority: this.#authority,
      dnsNames: [...serverNames(podNamespace, revision), "localhost"],
      metrics: this.#metrics,
      logger: this.#rootLogger.scope("webhook"),
    });
  }

  async #start(): Promise<void> {
    const { debugPort, listen: host } = this.#options;
    this.#debug = await serveHttp({ host, port: debugPort }, (query) =>
      answerDebug(query, {
        unready: () => this.#unready(),
        metrics: this.#metrics,
        view: this.#registry.resources,
        proxies: () => this.#ads.status(),
      }),
    );
    this.#webhook = this.#createWebhook();
    // Proxies are let in only when everything is known: none of them may take a half for the whole.
    await this.#platform.source.start((changes) => this.#apply(changes));
    this.#platform.start(this.#authority);
    this.#xdsPort = await this.#endpoint.listen(host, this.#options.xdsPort);
    this.#webhookPort = (await this.#webhook?.listen()) ?? 0;
    this.#ready = true;
    this.#logger.info("istiod-lite serves", {
      xdsPort: this.#xdsPort,
      debugPort: this.ports.debug,
      ...(this.#webhookPort > 0 && { webhookPort: this.#webhookPort }),
    });
  }

  /** Why not all is well; undefined when it is. */
  #unready(): string | undefined {
    const { loss } = this.#platform.source;
    if (loss !== undefined) return `the source of configuration has lost objects: ${loss.reason}`;
    return this.#ready ? undefined : "configuration is being read";
  }

  #apply(changes: readonly ObjectChange[]): void {
    const update = this.#registry.apply(changes);
    const { statuses, problems } = update;
    this.#webhook?.apply(changes);
    this.#ads.push(update);
    this.#verdicts.registryChanged();
    for (const { object, message } of problems) {
      this.#logger.warn("object kept out of the mesh", { object, why: message });
    }
    this.#statuses.write(statuses);
    this.#owned.apply(update.owned);
    this.#owned.repair(changes);
    this.#platform.apply(changes);
    for (const { key, object } of changes) {
      if (object === undefined) this.#statuses.forget(key);
    }
  }

  /** The pod that the token is bound to runs where the token says: a token outlives its pod. */
  #isKnown({ namespace, serviceAccount, node, podName, podUid }: Caller): boolean {
    const pod = podName === undefined ? undefined : this.#registry.findPod(namespace, podName);
    if (pod === undefined || pod.uid !== podUid || pod.serviceAccount !== serviceAccount) {
      return false;
    }
    return node === undefined || pod.node === node;
  }

  /** ztunnel's account, and known: a copied token must not make a node of another. */
  #isNodeProxy(caller: Caller): boolean {
    const { namespace, serviceAccount, node } = caller;
    if (namespace !== this.#options.rootNamespace || serviceAccount !== ZTUNNEL_ACCOUNT) {
      return false;
    }
    return node !== undefined && this.#isKnown(caller);
  }
}

function registryOptions(options: IstiodOptions): RegistryOptions {
  return {
    ...DEFAULT_REGISTRY_OPTIONS,
    clusterId: options.clusterId,
    trustDomain: options.trustDomain,
    trustDomainAliases: options.trustDomainAliases,
    rootNamespace: options.rootNamespace,
    hbone: options.hbone,
    dnsCapture: options.dnsCapture,
    revision: options.revision,
    waypointUnavailable: options.waypointUnavailable,
    enforceWaypoints: options.enforceWaypoints,
    outboundTraffic: options.outboundTraffic,
    waypointImage: options.waypointImage,
    discoveryAddress: options.discoveryAddress,
  };
}
