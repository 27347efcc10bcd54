/**
 * An AdsServer over real gRPC for tests, with tokens signed here, and a raw client to speak to it.
 */
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type StatusObject,
} from "@grpc/grpc-js";
import { Registry as MetricsRegistry } from "prom-client";
import type { ObjectChange } from "#common/kubernetes/objects.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import {
  publicJwks,
  type ServiceAccountClaims,
  signServiceAccountToken,
} from "#common/tls/service-account-token.ts";
import { CaptureService } from "#common/xds/capture-rpc.ts";
import {
  AggregatedDiscoveryService,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  deltaAggregatedResources,
} from "#common/xds/discovery-rpc.ts";
import { ADDRESS_TYPE } from "#common/xds/type-urls.ts";
import type { Caller } from "../ca/caller.ts";
import { JwksFile } from "../ca/jwks-file.ts";
import { JwksTokenReviewer } from "../ca/token-review.ts";
import type { StatusWriter } from "../config/source.ts";
import { Registry } from "../registry/registry.ts";
import { DEFAULT_REGISTRY_OPTIONS } from "../registry/registry-options.ts";
import { AdsServer } from "./ads-server.ts";
import { CaptureReports } from "./capture-reports.ts";
import { CaptureVerdicts } from "./capture-verdicts.ts";
import { Departures } from "./departures.ts";
import { XdsMetrics } from "./xds-metrics.ts";

const ZTUNNEL: ServiceAccountClaims = {
  namespace: "istio-system",
  serviceAccount: "ztunnel",
  podName: "ztunnel-1",
  podUid: "uid-of-ztunnel-1",
  node: "node-1",
};

export class AdsTestServer {
  readonly registry = new Registry(DEFAULT_REGISTRY_OPTIONS);
  readonly metrics = new MetricsRegistry();
  readonly log: string[] = [];
  /** Whose pods are known; everybody's unless a test says otherwise. */
  isKnown: (caller: Caller) => boolean = () => true;
  readonly ads: AdsServer;
  readonly #server = new Server();
  readonly #clients: Client[] = [];
  readonly verdicts: CaptureVerdicts;
  areZtunnelsRemoved = (): boolean => false;
  readonly #key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  readonly #dir: string;
  #port = 0;

  private constructor(dir: string, writer: StatusWriter) {
    this.#dir = dir;
    const logger = createLogger({
      level: "debug",
      format: "text",
      write: (line) => void this.log.push(line),
    });
    const deps = {
      tokens: new JwksTokenReviewer(new JwksFile(join(dir, "jwks.json"), logger)),
      isNodeProxy: ({ namespace, serviceAccount }: Caller) =>
        namespace === "istio-system" && serviceAccount === "ztunnel",
      waypointOf: ({ namespace, podName }: Caller) =>
        podName?.startsWith("waypoint-") ? `${namespace}/waypoint` : undefined,
      absent: { joined: () => undefined, left: () => undefined },
      isKnown: (caller: Caller) => this.isKnown(caller),
      logger,
    };
    const { resources } = this.registry;
    this.ads = new AdsServer({
      ...deps,
      resources,
      metrics: new XdsMetrics(this.metrics, resources),
    });
    const reports = new CaptureReports({ ...deps, writer, registry: this.registry });
    this.#server.addService(AggregatedDiscoveryService, this.ads.implementation);
    this.verdicts = new CaptureVerdicts({ ...deps, registry: this.registry, waitMs: 500 });
    const areZtunnelsRemoved = async () => this.areZtunnelsRemoved();
    const departures = new Departures({ ...deps, areZtunnelsRemoved });
    this.#server.addService(CaptureService, {
      ...reports.implementation,
      ...this.verdicts.implementation,
      ...departures.implementation,
    });
  }

  static async start(writer: StatusWriter): Promise<AdsTestServer> {
    const server = new AdsTestServer(await mkdtemp(join(tmpdir(), "ads-")), writer);
    const jwks = JSON.stringify(await publicJwks(server.#key));
    await writeFile(join(server.#dir, "jwks.json"), jwks);
    await server.#bind();
    return server;
  }

  async #bind(): Promise<void> {
    this.#port = await new Promise((resolve, reject) => {
      const insecure = ServerCredentials.createInsecure();
      this.#server.bindAsync("127.0.0.1:0", insecure, (error, port) =>
        error ? reject(error) : resolve(port),
      );
    });
  }

  apply(changes: readonly ObjectChange[]): void {
    this.ads.push(this.registry.apply(changes));
    this.verdicts.registryChanged();
  }

  /** The metadata of a call by the ztunnel of node-1, unless said otherwise. */
  async metadata(claims: Partial<ServiceAccountClaims> = {}): Promise<Metadata> {
    const token = await signServiceAccountToken(this.#key, { ...ZTUNNEL, ...claims }, 600);
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${token}`);
    return metadata;
  }

  client(): Client {
    const client = new Client(`127.0.0.1:${this.#port}`, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
    });
    this.#clients.push(client);
    return client;
  }

  async connect(claims?: Partial<ServiceAccountClaims>): Promise<RawStream> {
    return new RawStream(this.client(), await this.metadata(claims));
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    this.ads.close();
    this.#server.forceShutdown();
    await rm(this.#dir, { recursive: true });
  }
}

/** One stream that says exactly what it is told and keeps what it hears. */
export class RawStream {
  readonly responses: DeltaDiscoveryResponse[] = [];
  readonly #ended: Promise<StatusObject>;
  readonly #stream: ClientDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;
  #taken = 0;

  constructor(client: Client, metadata: Metadata) {
    const { path, requestSerialize, responseDeserialize } = deltaAggregatedResources;
    const stream = client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      metadata,
      {},
    );
    this.#stream = stream;
    stream.on("data", (response: DeltaDiscoveryResponse) => void this.responses.push(response));
    stream.on("error", () => undefined);
    this.#ended = new Promise((resolve) => {
      stream.on("status", resolve);
    });
  }

  /** An Address request with the node id of node-1's ztunnel, unless said otherwise. */
  send(request: Partial<DeltaDiscoveryRequest> & { node?: never; nodeName?: string } = {}): void {
    const { nodeName = "node-1", ...fields } = request;
    const id = "ztunnel~10.0.0.9~ztunnel-1.istio-system~istio-system.svc.cluster.local";
    this.#stream.write({
      node: { id, cluster: "", metadata: { NODE_NAME: nodeName } },
      typeUrl: ADDRESS_TYPE,
      subscribe: [],
      unsubscribe: [],
      initialResourceVersions: new Map(),
      responseNonce: "",
      ...fields,
    });
  }

  /** The next response that has not been taken yet. */
  async next(timeoutMs = 2_000): Promise<DeltaDiscoveryResponse> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const response = this.responses[this.#taken];
      if (response !== undefined) {
        this.#taken++;
        return response;
      }
      if (Date.now() > deadline) throw new Error("no response came");
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** Takes the next response and acknowledges it. */
  async nextAcked(): Promise<DeltaDiscoveryResponse> {
    const response = await this.next();
    this.send({ typeUrl: response.typeUrl, responseNonce: response.nonce });
    return response;
  }

  /** The status with which the stream ended. */
  async end(timeoutMs = 5_000): Promise<StatusObject> {
    const deadline = AbortSignal.timeout(timeoutMs);
    const late = once(deadline, "abort").then(() => Promise.reject(new Error("it did not end")));
    return Promise.race([this.#ended, late]);
  }

  cancel(): void {
    this.#stream.cancel();
  }
}

export function names(response: DeltaDiscoveryResponse): readonly string[] {
  return response.resources.map(({ name }) => name).sort();
}
