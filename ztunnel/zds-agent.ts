/**
 * A CNI agent in the manner of istio-cni's: captures the pods that the control plane names for this
 * node, and hands them to whatever ztunnel connects to its socket. With it a stock ztunnel serves
 * pods that our capture has prepared.
 */
import { Registry } from "prom-client";
import { registerBuildInfo, XdsClientMetrics } from "#common/admin/process-metrics.ts";
import { serveMetrics, serveReadiness } from "#common/admin/status-servers.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import type { RunningServer } from "#common/runtime/http-server.ts";
import type { Host } from "#common/runtime/process-host.ts";
import { liveGauge } from "#common/telemetry/live-metrics.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { createProcessLog } from "#common/telemetry/process-log.ts";
import { ControlPlaneChannel } from "#common/xds/control-plane-channel.ts";
import { decodeCapturedPod } from "#common/xds/decode-captured-pod.ts";
import { DeltaClient } from "#common/xds/delta-client.ts";
import { ztunnelNode } from "#common/xds/node-identity.ts";
import { ResourceHandler } from "#common/xds/resource-handler.ts";
import { CAPTURED_POD_TYPE } from "#common/xds/type-urls.ts";
import type { CaptureManager } from "./capture/capture-manager.ts";
import type { ListenerSink } from "./capture/listener-sink.ts";
import { CaptureReporter } from "./capture-reporter.ts";
import { createCapture } from "./capture-wiring.ts";
import type { ZtunnelConfig } from "./config.ts";
import { PodProcesses } from "./node/pod-processes.ts";
import { AckGate } from "./zds/ack-gate.ts";
import { ZdsServer } from "./zds/zds-server.ts";

export class ZdsAgent {
  readonly #config: ZtunnelConfig;
  readonly #logger: Logger;
  readonly #registry = new Registry();
  readonly #reporter: CaptureReporter;
  readonly #gate: AckGate;
  readonly #server: ZdsServer;
  readonly #capture: CaptureManager;
  readonly #xds: DeltaClient;
  readonly #stopping = new AbortController();
  #servers: readonly RunningServer[] = [];
  #running: Promise<void> | undefined;

  private constructor(config: ZtunnelConfig, host: Host) {
    this.#config = config;
    const { logLevels: level, logFormat: format } = config;
    const { logger } = createProcessLog({ level, format }, host, this.#registry);
    this.#logger = logger.scope("cni-agent");
    const channel = this.#channel();
    this.#reporter = new CaptureReporter(channel, config.nodeName, this.#logger.scope("capture"));
    this.#gate = new AckGate((reports) => this.#reporter.send(reports));
    this.#server = new ZdsServer({
      path: socketOf(config),
      log: this.#logger.scope("zds"),
      known: () => [...this.#capture.pods()].map(({ pod }) => pod.uid),
      onAnswer: (uid, error) => this.#gate.answered(uid, error),
    });
    this.#capture = this.#createCapture();
    this.#xds = this.#createXds(channel, host);
    registerBuildInfo(this.#registry, "cni", host.version);
    // The name is istio-cni's.
    const connected = () => Math.min(1, this.#server.connections);
    liveGauge(this.#registry, "ztunnel_connected", "Whether a ztunnel is connected", connected);
  }

  /** Starts everything; rejects if a port cannot be had. */
  static async start(config: ZtunnelConfig, host: Host): Promise<ZdsAgent> {
    const agent = new ZdsAgent(config, host);
    await agent.#start();
    return agent;
  }

  /** Stops. Rules stay in place: pods are served, or closed, but never open. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    this.#server.close();
    await this.#capture.close();
    this.#reporter.close();
    await Promise.all(this.#servers.map((server) => server.close()));
  }

  async #start(): Promise<void> {
    const { warnings, metricsPort, readinessPort, nodeName: node } = this.#config;
    for (const warning of warnings) this.#logger.warn(warning);
    this.#servers = await Promise.all([
      serveMetrics(metricsPort, this.#registry),
      serveReadiness(readinessPort, () => this.#pending()),
    ]);
    this.#running = this.#xds.run(this.#stopping.signal);
    this.#logger.info("CNI agent started", { node, socket: socketOf(this.#config) });
  }

  #createCapture(): CaptureManager {
    return createCapture(this.#config, {
      processes: new PodProcesses(),
      sink: this.#sink(),
      // ztunnel makes the listeners.
      workers: 0,
      report: (changes) => {
        this.#gate.report(changes);
        this.#listenOnceSettled();
      },
      registry: this.#registry,
      logger: this.#logger.scope("capture"),
    });
  }

  /**
   * Does not wait for ztunnel's answer: rules without a listener close a pod, and a pod that is to
   * be captured is better closed than open.
   */
  #sink(): ListenerSink {
    return {
      add: ({ uid, name, namespace, serviceAccount }, { fd: netnsFd }) => {
        this.#server.add({ uid, info: { name, namespace, serviceAccount }, netnsFd });
        return Promise.resolve();
      },
      remove: async (uid) => {
        await this.#server.remove(uid);
        this.#gate.removed(uid);
      },
    };
  }

  #createXds(channel: ControlPlaneChannel, host: Host): DeltaClient {
    const config = this.#config;
    const handler = ResourceHandler.of({
      typeUrl: CAPTURED_POD_TYPE,
      decode: decodeCapturedPod,
      apply: (upserts, removed) => {
        this.#capture.apply(
          upserts.map(({ value }) => value),
          removed,
        );
        this.#capture.setSnapshotComplete();
        this.#listenOnceSettled();
      },
    });
    const counters = new XdsClientMetrics(this.#registry);
    const logger = this.#logger.scope("xds");
    const node = ztunnelNode({ ...config, ip: config.instanceIp ?? "", env: host.env });
    return new DeltaClient({ channel, handlers: [handler], logger, counters }, node);
  }

  /**
   * A ztunnel that served this node before the agent started would drop what its first snapshot
   * does not mention: the socket opens when every pod has been looked for.
   */
  #listenOnceSettled(): void {
    if (!this.#capture.isSettled()) return;
    try {
      this.#server.listen();
    } catch (error) {
      const why = describeError(error);
      this.#logger.error("no ztunnel can connect", { socket: socketOf(this.#config), why });
    }
  }

  #pending(): readonly string[] {
    return [
      ...this.#xds.pending,
      ...(this.#capture.isSettled() ? [] : ["capture of this node's pods"]),
    ];
  }

  #channel(): ControlPlaneChannel {
    const { xds, tokenFile, clusterId } = this.#config;
    if (xds !== undefined) return new ControlPlaneChannel({ ...xds, tokenFile, clusterId });
    throw new MeshError(
      "CONFIG_INVALID",
      "XDS_ADDRESS is empty: nobody says which pods to capture",
    );
  }
}

function socketOf({ inpodSocket }: ZtunnelConfig): string {
  if (inpodSocket !== undefined) return inpodSocket;
  throw new MeshError("CONFIG_INVALID", "INPOD_UDS is not set: it names the socket to serve", {
    hint: "set it to the path that the ztunnel of this node connects to",
  });
}
