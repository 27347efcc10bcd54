/** istiod-lite put together: configuration in, resources and certificates out. */
import { Server as GrpcServer, type Server, ServerCredentials } from "@grpc/grpc-js";
import { Registry as MetricsRegistry } from "prom-client";
import type { ObjectChange } from "#common/kubernetes/objects.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { type RunningServer, serveHttp } from "#common/runtime/http-server.ts";
import { createLogger, type Logger } from "#common/telemetry/logger.ts";
import { CaptureService } from "#common/xds/capture-rpc.ts";
import { IstioCertificateService } from "#common/xds/citadel-rpc.ts";
import { AggregatedDiscoveryService } from "#common/xds/discovery-rpc.ts";
import { loadCertificateAuthority } from "./ca/ca-files.ts";
import type { CertificateAuthority } from "./ca/certificate-authority.ts";
import { createCertificateService } from "./ca/create-certificate.ts";
import { JwksFile } from "./ca/jwks-file.ts";
import { type Caller, JwksTokenReviewer } from "./ca/token-review.ts";
import { createSource } from "./config/create-source.ts";
import type { ConfigSource, StatusWriter } from "./config/source.ts";
import { PolicyStatusController } from "./controllers/policy-status.ts";
import { answerDebug } from "./debug.ts";
import { KEEPALIVE_MS, KEEPALIVE_TIMEOUT_MS, REQUEST_BYTES } from "./limits.ts";
import type { IstiodOptions } from "./options.ts";
import { Registry } from "./registry/registry.ts";
import { DEFAULT_REGISTRY_OPTIONS } from "./registry/registry-options.ts";
import { AdsServer } from "./xds/ads-server.ts";
import { CaptureReports } from "./xds/capture-reports.ts";
import { XdsMetrics } from "./xds/xds-metrics.ts";

/** The names under which proxies know the control plane. */
const SERVER_NAMES = ["istiod", "istiod-lite"].flatMap((name) => [
  `${name}.istio-system.svc.cluster.local`,
  `${name}.istio-system.svc`,
  `${name}.istio-system`,
]);
const ZTUNNEL_ACCOUNT = "ztunnel";

export class Istiod {
  readonly #options: IstiodOptions;
  readonly #logger: Logger;
  readonly #authority: CertificateAuthority;
  readonly #source: ConfigSource;
  readonly #writer: StatusWriter;
  readonly #registry: Registry;
  readonly #metrics = new MetricsRegistry();
  readonly #statuses: PolicyStatusController;
  readonly #ads: AdsServer;
  readonly #grpc: Server;
  #debug: RunningServer | undefined;
  #synced = false;

  private constructor(options: IstiodOptions, logger: Logger, authority: CertificateAuthority) {
    this.#options = options;
    this.#logger = logger.scope("istiod");
    this.#authority = authority;
    const { source, overlay, clusterId, trustDomain, rootNamespace, hbone } = options;
    const config = createSource(source, { logger, overlay });
    this.#source = config.source;
    this.#writer = config.statusWriter;
    this.#registry = new Registry({
      ...DEFAULT_REGISTRY_OPTIONS,
      clusterId,
      trustDomain,
      rootNamespace,
      hbone,
    });
    this.#statuses = new PolicyStatusController({
      writer: this.#writer,
      logger: logger.scope("status"),
    });
    const tokens = new JwksTokenReviewer(new JwksFile(options.tokenJwks, logger.scope("tokens")));
    const isNodeProxy = (caller: Caller): boolean => this.#isNodeProxy(caller);
    this.#ads = new AdsServer({
      resources: this.#registry.resources,
      tokens,
      isNodeProxy,
      metrics: new XdsMetrics(this.#metrics),
      logger: logger.scope("ads"),
    });
    this.#grpc = this.#createGrpcServer(logger, tokens, isNodeProxy);
  }

  /** Loads the CA, reads all configuration, then serves. Rejects where one of them cannot be done. */
  static async start(options: IstiodOptions, write: (line: string) => void): Promise<Istiod> {
    const { logLevel, logFormat, caDir, trustDomain } = options;
    const logger = createLogger({ level: logLevel, format: logFormat, write });
    const authority = await loadCertificateAuthority({ dir: caDir, trustDomain });
    const istiod = new Istiod(options, logger, authority);
    await istiod.#start();
    return istiod;
  }

  async close(): Promise<void> {
    await this.#source.close();
    this.#ads.close();
    this.#grpc.forceShutdown();
    await this.#statuses.close();
    await this.#debug?.close();
  }

  async #start(): Promise<void> {
    // Proxies are let in only when everything is known: none of them may take a half for the whole.
    await this.#source.start((changes) => this.#apply(changes));
    this.#synced = true;
    await this.#bindGrpc();
    this.#debug = await serveHttp({ port: this.#options.debugPort }, (query) =>
      answerDebug(query, {
        ready: () => this.#synced,
        metrics: this.#metrics,
        view: this.#registry.resources,
        proxies: () => this.#ads.status(),
      }),
    );
    this.#logger.info("istiod-lite serves", { xdsPort: this.#options.xdsPort });
  }

  #apply(changes: readonly ObjectChange[]): void {
    const update = this.#registry.apply(changes);
    const { statuses, problems } = update;
    this.#ads.push(update);
    for (const { object, message } of problems) {
      this.#logger.warn("object kept out of the mesh", { object, why: message });
    }
    this.#statuses.write(statuses);
  }

  #createGrpcServer(
    logger: Logger,
    tokens: JwksTokenReviewer,
    isNodeProxy: (caller: Caller) => boolean,
  ): Server {
    const server = new GrpcServer({
      "grpc.max_receive_message_length": REQUEST_BYTES,
      "grpc.max_send_message_length": -1,
      "grpc.keepalive_time_ms": KEEPALIVE_MS,
      "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
    });
    server.addService(AggregatedDiscoveryService, this.#ads.implementation);
    const reports = new CaptureReports({
      tokens,
      isNodeProxy,
      writer: this.#writer,
      logger: logger.scope("capture"),
      registry: this.#registry,
    });
    server.addService(CaptureService, reports.implementation);
    const certificates = createCertificateService({
      authority: this.#authority,
      tokens,
      isNodeProxy,
      nodeIdentities: {
        runsOnNode: (identity, node) =>
          identity.trustDomain === this.#options.trustDomain &&
          this.#registry.runsOnNode(node, identity.namespace, identity.serviceAccount),
      },
      logger: logger.scope("ca"),
      trustDomain: this.#options.trustDomain,
    });
    server.addService(IstioCertificateService, { ...certificates });
    return server;
  }

  async #bindGrpc(): Promise<void> {
    const { certChainPem, privateKeyPem } = this.#authority.issueServer([
      ...SERVER_NAMES,
      "localhost",
    ]);
    const credentials = ServerCredentials.createSsl(
      null,
      [{ cert_chain: Buffer.from(certChainPem), private_key: Buffer.from(privateKeyPem) }],
      false,
    );
    const address = `[::]:${this.#options.xdsPort}`;
    await new Promise<void>((resolve, reject) => {
      this.#grpc.bindAsync(address, credentials, (error) => {
        if (error === null) return resolve();
        const hint = "is another istiod-lite running? --xds-port takes another port";
        reject(new MeshError("BIND_FAILED", `cannot listen on ${address}`, { cause: error, hint }));
      });
    });
  }

  #isNodeProxy({ namespace, serviceAccount }: Caller): boolean {
    return namespace === this.#options.rootNamespace && serviceAccount === ZTUNNEL_ACCOUNT;
  }
}
