/**
 * Port 15012 as a whole: the gRPC server behind its gate, with a certificate of our own CA that is
 * renewed at half its life and whenever the CA changes.
 */
import { networkInterfaces } from "node:os";
import type { Server } from "@grpc/grpc-js";
import { type IpAddress, parseIp } from "#common/model/ip.ts";
import { describeError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import type { LiveAuthority } from "./ca/live-authority.ts";
import { ConnectionGate, type DropReason } from "./connection-gate.ts";
import { SERVER_CERTIFICATE_CHECK_MS, SHUTDOWN_GRACE_MS } from "./limits.ts";

/** The names under which proxies, and API servers, know the control plane. */
export function serverNames(namespace: string, revision: string): readonly string[] {
  const ofRevision = revision === "default" ? [] : [`istiod-${revision}`];
  return ["istiod", "istiod-lite", ...ofRevision].flatMap((name) => [
    `${name}.${namespace}.svc.cluster.local`,
    `${name}.${namespace}.svc`,
    `${name}.${namespace}`,
  ]);
}

export interface GrpcEndpointDeps {
  readonly server: Server;
  readonly authority: LiveAuthority;
  readonly logger: Logger;
  readonly onDropped: (reason: DropReason) => void;
  /** Names of this server, beside localhost. */
  readonly names: readonly string[];
}

export class GrpcEndpoint {
  readonly #deps: GrpcEndpointDeps;
  readonly #gate: ConnectionGate;
  #addresses: readonly IpAddress[] = [];
  #renewAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: GrpcEndpointDeps) {
    this.#deps = deps;
    this.#gate = new ConnectionGate(deps);
  }

  /** A call from this peer proved its caller. */
  proved(peer: string): void {
    this.#gate.proved(peer);
  }

  /** Connections that stand. */
  get connections(): number {
    return this.#gate.size;
  }

  /** Serves; resolves with the port. Rejects with MeshError BIND_FAILED, or CA_EXPIRED. */
  async listen(host: string, port: number): Promise<number> {
    this.#addresses = ownAddresses(host);
    this.#issue();
    const { authority } = this.#deps;
    authority.onChange(() => this.#renew());
    authority.watch();
    this.#timer = setInterval(() => {
      if (Date.now() >= this.#renewAt) this.#renew();
    }, SERVER_CERTIFICATE_CHECK_MS);
    this.#timer.unref();
    return this.#gate.listen(host, port);
  }

  /** Lets calls in progress end for SHUTDOWN_GRACE_MS, then cuts them. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#deps.authority.close();
    this.#gate.close();
    await shutDown(this.#deps.server);
  }

  #renew(): void {
    try {
      this.#issue();
    } catch (error) {
      const why = describeError(error);
      this.#deps.logger.error("no new certificate for this server; the old one stays", { why });
    }
  }

  #issue(): void {
    const names = [...this.#deps.names, "localhost"];
    const certificate = this.#deps.authority.current.issueServer(names, this.#addresses);
    this.#gate.setCertificate(certificate);
    this.#renewAt = Date.now() + (certificate.notAfter - Date.now()) / 2;
  }
}

/** Where proxies may reach us by address: the one we listen on, or all there are. */
function ownAddresses(listen: string): readonly IpAddress[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const texts = listen === "::" || listen === "0.0.0.0" ? all.map((a) => a.address) : [listen];
  return [...new Set(texts.flatMap((text) => parseIp(text) ?? []))];
}

function shutDown(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.forceShutdown(), SHUTDOWN_GRACE_MS);
    server.tryShutdown(() => {
      clearTimeout(cut);
      resolve();
    });
  });
}
