/**
 * For tests: a waypoint in this process, told by the test what istiod-lite would tell it; pods
 * behind HBONE on loopback addresses of their own; and a client that calls by HBONE as a ztunnel
 * does.
 *
 * Gateway `waypoint` of namespace `shop`, identity `shop/waypoint`. The waypoint listens on a port
 * of its own; pods on 15008, as everywhere.
 */
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import type net from "node:net";
import { pod, service, update } from "#common/mesh-state/test-records.ts";
import { serviceKey } from "#common/model/address.ts";
import { type Identity, makeIdentity } from "#common/model/identity.ts";
import type { IpAddress } from "#common/model/ip.ts";
import type { Service } from "#common/model/service.ts";
import type { BackendConfig } from "#common/model/waypoint/backend.ts";
import type {
  GatewayConfig,
  ServiceConfig,
  WaypointResource,
} from "#common/model/waypoint/resource.ts";
import { waypointResourceName } from "#common/model/waypoint/resource.ts";
import type { Workload } from "#common/model/workload.ts";
import type { ConnectionLabels, ConnectionRecord } from "#common/telemetry/connection-record.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import type { ConnectionFailure } from "#common/transport/failure.ts";
import { DEFAULT_TUNNEL_SETTINGS } from "#common/transport/tunnel-settings.ts";
import { connectHbone, createTestCa, issueLeaf, request } from "#test/support/hbone-peer.ts";
import { DataPlane, type Parts, type PartsContext } from "./data-plane.ts";
import type { CallService } from "./filter/service-caller.ts";
import { type HboneApp, startHboneApp } from "./hbone-app-fixture.ts";
import { llhttpForwarder } from "./http/h1/h1-codec.ts";
import { PROTOCOL_DETECTION_MS } from "./limits.ts";
import type { RequestRecord } from "./proxy/request-record.ts";
import { createRequestPath } from "./request-path.ts";

const NAMESPACE = "shop";
const GATEWAY = "waypoint";
/** Where clients call from. */
const CLIENT_IP = "127.0.0.1" as IpAddress;

/** A gateway without policies. */
export const PLAIN_GATEWAY: GatewayConfig = {
  kind: "gateway",
  namespace: NAMESPACE,
  name: GATEWAY,
  policies: { requestAuthentications: [], authorizations: [], rateLimits: [] },
  telemetry: {
    accessLog: { enabled: true, format: "text" },
    metrics: { enabled: true, removedLabels: [] },
  },
  forwardClientCert: false,
};

/** A service without policies and routes, on port 80 unless `fields` says otherwise. */
export function plainService(
  name: string,
  vip: string,
  fields: Partial<ServiceConfig> = {},
): ServiceConfig {
  return {
    kind: "service",
    namespace: NAMESPACE,
    hostname: `${name}.${NAMESPACE}.svc.cluster.local`,
    serviceName: name,
    addresses: [vip],
    ports: [{ port: 80, protocol: "http" }],
    policies: { requestAuthentications: [], authorizations: [], rateLimits: [] },
    ...fields,
  };
}

/** How the endpoints of a service are treated: with no policy of their own. */
export function plainBackend({ namespace, hostname, serviceName }: ServiceConfig): BackendConfig {
  const policies = { policy: {}, portPolicies: {}, subsets: {} };
  return { kind: "backend", namespace, hostname, serviceName, ...policies };
}

/** A pod that a test runs. */
export interface RunningPod extends Omit<HboneApp, "ip" | "port"> {
  readonly workload: Workload;
}

export interface FixtureOptions {
  /** @default the product's own, telling `requests` */
  readonly parts?: (context: PartsContext) => Parts;
  /** @default PROTOCOL_DETECTION_MS */
  readonly protocolDetectionMs?: number;
}

export interface Answer {
  readonly status: number;
  readonly stream: ClientHttp2Stream;
}

export class WaypointFixture {
  readonly ca = createTestCa();
  readonly dataPlane: DataPlane;
  readonly refusals: ConnectionFailure[] = [];
  readonly records: { readonly record: ConnectionRecord; readonly labels: ConnectionLabels }[] = [];
  readonly internalErrors: unknown[] = [];
  readonly requests: RequestRecord[] = [];
  /** The waypoint's calls to services; of its own parts. */
  call: CallService | undefined;
  readonly identity = makeIdentity("cluster.local", NAMESPACE, GATEWAY);
  readonly #cleanUps: (() => Promise<unknown> | unknown)[] = [];
  port = 0;

  private constructor({ parts, protocolDetectionMs = PROTOCOL_DETECTION_MS }: FixtureOptions) {
    this.dataPlane = new DataPlane(
      {
        identity: this.identity,
        ownUid: OWN_UID,
        gateway: { namespace: NAMESPACE, name: GATEWAY },
        network: "",
        trustDomains: ["cluster.local"],
        tunnels: DEFAULT_TUNNEL_SETTINGS,
        protocolDetectionMs,
      },
      {
        parts: parts ?? ((context) => this.#ownParts(context)),
        record: (record, labels) => this.records.push({ record, labels }),
        onRefused: (why) => this.refusals.push(why),
        onTunnelRefused: (_peer, why) => this.refusals.push(why),
        onInternalError: (error) => this.internalErrors.push(error),
        memoryIsShort: () => false,
        logger: createLogger({ level: "off", format: "text", write: () => undefined }),
        random: Math.random,
      },
    );
  }

  /** With the plain gateway, the waypoint's own record, and a client pod `client` at 127.0.0.1. */
  static async start(options: FixtureOptions = {}): Promise<WaypointFixture> {
    const fixture = new WaypointFixture(options);
    await fixture.set(PLAIN_GATEWAY);
    fixture.addWorkload(pod(`${GATEWAY}-0`, [], { serviceAccount: GATEWAY }));
    fixture.addWorkload(pod("client", [CLIENT_IP], { serviceAccount: "client" }));
    fixture.rotate();
    fixture.port = await fixture.dataPlane.listen({ ip: CLIENT_IP, port: 0 });
    return fixture;
  }

  async stop(): Promise<void> {
    for (const cleanUp of this.#cleanUps.splice(0).reverse()) await cleanUp();
    await this.dataPlane.drain(0);
  }

  /** Another certificate for the waypoint, of the same identity. */
  rotate(): void {
    this.dataPlane.putCertificate(issueLeaf(this.ca, this.identity));
  }

  /** Resources in place of those of the same names. */
  set(...resources: readonly WaypointResource[]): Promise<void> {
    const upserts = resources.map((value) => ({
      name: waypointResourceName(`${NAMESPACE}/${GATEWAY}`, value),
      value,
    }));
    this.dataPlane.store.apply({ upserts, removed: [] });
    return this.dataPlane.store.whenApplied();
  }

  unset(resource: WaypointResource): Promise<void> {
    const name = waypointResourceName(`${NAMESPACE}/${GATEWAY}`, resource);
    this.dataPlane.store.apply({ upserts: [], removed: [name] });
    return this.dataPlane.store.whenApplied();
  }

  addWorkload(workload: Workload): void {
    this.dataPlane.mesh.apply(update({ workloads: [workload] }));
  }

  removeWorkload({ uid }: Workload): void {
    this.dataPlane.mesh.apply(update({ removed: [uid] }));
  }

  /** The service, its record in the mesh, and its backend; `startPod` gives it endpoints. */
  addService(config: ServiceConfig, fields: Partial<Service> = {}): Promise<void> {
    const ports = config.ports.map(({ port }) => {
      return { servicePort: port, targetPort: 0, appProtocol: "unknown" } as const;
    });
    const { namespace, hostname, addresses } = config;
    const more = { namespace, name: config.serviceName, ports, ...fields };
    this.dataPlane.mesh.apply(update({ services: [service(hostname, addresses, more)] }));
    return this.set(config, plainBackend(config));
  }

  /**
   * An application behind HBONE that serves all ports of these services. `onConnection` is its TCP
   * server.
   */
  async startPod(
    name: string,
    services: readonly ServiceConfig[],
    onConnection: (socket: net.Socket) => void,
    fields: Partial<Workload> = {},
  ): Promise<RunningPod> {
    const { ip, port, ...app } = await startHboneApp(this.ca, `${NAMESPACE}/${name}`, onConnection);
    this.#cleanUps.push(app.stop);
    const ports = services.map((one) => {
      const list = one.ports.map((entry) => ({
        servicePort: entry.port,
        targetPort: port,
        appProtocol: "unknown" as const,
      }));
      return [serviceKey(one), list] as const;
    });
    const workload = pod(name, [ip], { serviceAccount: name, services: new Map(ports), ...fields });
    this.addWorkload(workload);
    return { workload, ...app };
  }

  /** A tunnel to the waypoint, as a client pod's ztunnel has it. */
  async dial(identity: Pick<Identity, "namespace" | "serviceAccount"> = CLIENT) {
    const certificate = issueLeaf(this.ca, identity);
    const session = await connectHbone({ host: CLIENT_IP, port: this.port, certificate });
    this.#cleanUps.push(() => session.destroy());
    return session;
  }

  /** CONNECT on a tunnel of its own, or on `session`. */
  async connect(
    authority: string,
    { session, headers = {} }: { session?: ClientHttp2Session; headers?: object } = {},
  ): Promise<Answer> {
    const tunnel = session ?? (await this.dial());
    return request(tunnel, { ":method": "CONNECT", ":authority": authority, ...headers });
  }

  #ownParts(context: PartsContext): Parts {
    return createRequestPath(context, {
      ownIdentity: this.identity,
      ownUid: OWN_UID,
      http1: llhttpForwarder(),
      telemetry: (call) => {
        this.call = call;
        const settle = () => Promise.resolve();
        return { stage: () => undefined, sink: (record) => this.requests.push(record), settle };
      },
    });
  }
}

const CLIENT = { namespace: NAMESPACE, serviceAccount: "client" };
const OWN_UID = `Kubernetes//Pod/${NAMESPACE}/${GATEWAY}-0`;
