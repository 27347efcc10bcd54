/**
 * For tests: a request handler between real sockets. Clients connect to `port`; the service `api`
 * has the endpoints that the test starts, each on an address of its own.
 */

import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { ip, pod, ports, service, update } from "#common/mesh-state/test-records.ts";
import { makeIdentity } from "#common/model/identity.ts";
import type { AppProtocol } from "#common/model/service.ts";
import type { BackendConfig, TrafficPolicy } from "#common/model/waypoint/backend.ts";
import type { HttpRule, WeightedBackend } from "#common/model/waypoint/http-route.ts";
import type { GatewayConfig, ServiceConfig } from "#common/model/waypoint/resource.ts";
import type { Workload } from "#common/model/workload.ts";
import { pause } from "#common/runtime/pause.ts";
import { FlushBatcher } from "#common/transport/flush-batcher.ts";
import { SocketEnd } from "#common/transport/socket-end.ts";
import { normaliseRequest } from "../filter/normalise.ts";
import type { Downstream, LocalReply, Stage } from "../filter/stage.ts";
import type { HttpCodec, ServerConnection, Wire } from "../http/engine.ts";
import { llhttpForwarder } from "../http/h1/h1-codec.ts";
import { http2Codec } from "../http/h2/h2-codec.ts";
import { RELAY_LIMITS } from "../http/relay-fixture.ts";
import { compileRoutes } from "../route/compile.ts";
import { routes, rule } from "../route/route-fixtures.ts";
import { MeshUpstreams } from "../upstream/mesh-upstreams.ts";
import type { OpenWire } from "../upstream/upstream.ts";
import { createRequestHandling, newRequestId, type RequestHandling } from "./request-handler.ts";
import type { RequestRecord } from "./request-record.ts";
import { until } from "./test-client.ts";

export const API = "api.shop.svc.cluster.local";
const NO_POLICIES = { requestAuthentications: [], authorizations: [], rateLimits: [] };

const GATEWAY: GatewayConfig = {
  kind: "gateway",
  namespace: "shop",
  name: "waypoint",
  policies: NO_POLICIES,
  telemetry: {
    accessLog: { enabled: true, format: "text" },
    metrics: { enabled: true, removedLabels: [] },
  },
  forwardClientCert: false,
};

export function toApi(weight = 1, subset?: string): WeightedBackend {
  const backend = { namespace: "shop", hostname: API, port: 80 };
  return { weight, backend: subset === undefined ? backend : { ...backend, subset } };
}

const batcher = new FlushBatcher();

function wireOf(socket: net.Socket): Wire {
  return { asDuplex: () => socket, asEnd: () => new SocketEnd(socket, batcher) };
}

/** Plain TCP, whatever the endpoint. */
export const dialPlain: OpenWire = async ({ endpoint, signal }) => {
  const { ip: host, port } = endpoint.address;
  const socket = net.connect({ host, port, noDelay: true, allowHalfOpen: true, signal });
  socket.on("error", () => undefined);
  try {
    await once(socket, "connect");
    return wireOf(socket);
  } catch (error) {
    const detail = String(error);
    return { status: 503, reason: "upstream-connect-failure", body: "no", detail };
  }
};

export interface ProxyOptions {
  readonly appProtocol?: AppProtocol;
  /** What clients speak. @default "http1" */
  readonly client?: "http1" | "http2";
  readonly stages?: readonly Stage[];
  readonly random?: () => number;
  readonly dial?: OpenWire;
}

export class ProxyFixture {
  readonly mesh = new ProxyState({ network: "" });
  readonly records: RequestRecord[] = [];
  readonly upstreams: MeshUpstreams;
  readonly handling: RequestHandling;
  backend: BackendConfig = {
    kind: "backend",
    namespace: "shop",
    hostname: API,
    serviceName: "api",
    policy: {},
    portPolicies: {},
    subsets: {},
  };
  service: ServiceConfig = {
    kind: "service",
    namespace: "shop",
    hostname: API,
    serviceName: "api",
    addresses: [],
    ports: [{ port: 80, protocol: "http" }],
    policies: NO_POLICIES,
  };
  /** What clients ask for. */
  destination = { host: API, port: 80 };
  readonly #server: net.Server;
  readonly #connections = new Set<ServerConnection>();
  readonly #cleanUps: (() => void)[] = [];
  #pods = 0;

  private constructor(options: ProxyOptions) {
    const http1 = llhttpForwarder();
    const random = options.random ?? Math.random;
    const now = (): number => performance.now();
    this.upstreams = new MeshUpstreams({
      mesh: this.mesh,
      backend: (_, hostname) => (hostname === API ? this.backend : undefined),
      self: () => undefined,
      dial: options.dial ?? dialPlain,
      resolve: async () => undefined,
      codecs: { http1, http2: http2Codec },
      codecLimits: RELAY_LIMITS,
      now,
      random,
    });
    this.handling = createRequestHandling({
      gateway: () => GATEWAY,
      routeTable: (given) => compileRoutes(given).table,
      normalise: (head) => normaliseRequest(head, "base"),
      stages: options.stages ?? [],
      upstreams: this.upstreams,
      sink: (record) => this.records.push(record),
      ownIdentity: () => "spiffe://cluster.local/ns/shop/sa/waypoint",
      newId: newRequestId,
      sleep: pause,
      now,
      wallClock: Date.now,
      random,
    });
    const codec = options.client === "http2" ? http2Codec : http1;
    this.#server = net.createServer({ allowHalfOpen: true }, (socket) =>
      this.#serve(codec, socket),
    );
    const appProtocol = options.appProtocol ?? "unknown";
    const port = { servicePort: 80, targetPort: 0, appProtocol };
    this.mesh.apply(update({ services: [service(API, [], { ports: [port] })] }));
  }

  static async start(options: ProxyOptions = {}): Promise<ProxyFixture> {
    const fixture = new ProxyFixture(options);
    fixture.#server.listen(0, "127.0.0.1");
    await once(fixture.#server, "listening");
    return fixture;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  /** One rule for every request, in place of none. */
  route(fields: Partial<HttpRule>): void {
    const only = rule("only", { backends: [toApi()], ...fields });
    this.service = {
      ...this.service,
      ports: [{ port: 80, protocol: "http", http: routes([only]) }],
    };
  }

  policy(policy: TrafficPolicy): void {
    this.backend = { ...this.backend, policy };
  }

  /** An endpoint of `api`. */
  async startPod(
    onRequest: http.RequestListener,
    fields: Partial<Workload> = {},
  ): Promise<Workload> {
    const server = http.createServer(onRequest);
    server.keepAliveTimeout = 60_000;
    return this.startServer(server, fields);
  }

  async startServer(server: net.Server, fields: Partial<Workload> = {}): Promise<Workload> {
    const host = `127.0.3.${++this.#pods}`;
    server.listen(0, host);
    await once(server, "listening");
    const sockets = new Set<net.Socket>();
    server.on("connection", (socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined);
    });
    this.#cleanUps.push(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    return this.addPod(host, (server.address() as net.AddressInfo).port, fields);
  }

  addPod(host: string, port: number, fields: Partial<Workload> = {}): Workload {
    const services = new Map([[`shop/${API}`, ports([80, port])]]);
    const more = { tunnelProtocol: "none", services, ...fields } as const;
    const workload = pod(`api-${host}`, [host], more);
    this.mesh.apply(update({ workloads: [workload] }));
    return workload;
  }

  removePod({ uid }: Workload): void {
    this.mesh.apply(update({ removed: [uid] }));
  }

  stop(): void {
    this.upstreams.close();
    for (const connection of this.#connections) connection.destroy();
    this.#server.close();
    for (const cleanUp of this.#cleanUps) cleanUp();
  }

  /** The next record, once the request is over. */
  async record(): Promise<RequestRecord> {
    await until(() => this.records.length > 0);
    const record = this.records.shift();
    if (record === undefined) throw new Error("no record");
    return record;
  }

  /** Whether nothing is under way any more and every lease has been given back. */
  get isIdle(): boolean {
    for (const { circuit, hosts } of this.upstreams.backends()) {
      if (circuit.requests + circuit.pending + circuit.retries > 0) return false;
      for (const host of hosts) {
        if (host.active > 0) return false;
        for (const pool of host.pools.values()) {
          for (const { leases } of pool.connections) if (leases > 0) return false;
        }
      }
    }
    return this.handling.active() === 0;
  }

  #serve(codec: HttpCodec, socket: net.Socket): void {
    socket.on("error", () => undefined);
    const connection = codec.serve(wireOf(socket), RELAY_LIMITS, {
      onExchange: (exchange) => this.handling.handle(this.#downstream(), exchange),
      onClosed: () => this.#connections.delete(connection),
    });
    this.#connections.add(connection);
  }

  #downstream(): Downstream {
    const { service: config } = this;
    return {
      peer: makeIdentity("cluster.local", "shop", "client"),
      sourceWorkload: undefined,
      source: { ip: ip("10.0.0.9"), port: 4242 },
      destination: this.destination,
      service: config,
      port: config.ports[0],
      workload: undefined,
      sni: undefined,
    };
  }
}

export const REFUSED: LocalReply = {
  status: 403,
  reason: "denied-by-policy",
  body: "denied by shop/deny",
  detail: "shop/deny rule 0",
};
