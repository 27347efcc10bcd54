/** The gRPC server on 15012: xDS, certificates and capture reports over TLS. */
import { networkInterfaces } from "node:os";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { type IpAddress, parseIp } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { CaptureService } from "#common/xds/capture-rpc.ts";
import { IstioCertificateService } from "#common/xds/citadel-rpc.ts";
import { AggregatedDiscoveryService } from "#common/xds/discovery-rpc.ts";
import type { CertificateAuthority } from "./ca/certificate-authority.ts";
import { createCertificateService } from "./ca/create-certificate.ts";
import type { Caller, TokenReviewer } from "./ca/token-review.ts";
import type { StatusWriter } from "./config/source.ts";
import {
  CONNECTION_AGE_GRACE_MS,
  CONNECTION_AGE_MS,
  KEEPALIVE_MS,
  KEEPALIVE_TIMEOUT_MS,
  REQUEST_BYTES,
  SHUTDOWN_GRACE_MS,
} from "./limits.ts";
import type { IstiodOptions } from "./options.ts";
import type { Registry } from "./registry/registry.ts";
import type { AdsServer } from "./xds/ads-server.ts";
import { CaptureReports } from "./xds/capture-reports.ts";

/** The names under which proxies know the control plane. */
const SERVER_NAMES = ["istiod", "istiod-lite"].flatMap((name) => [
  `${name}.istio-system.svc.cluster.local`,
  `${name}.istio-system.svc`,
  `${name}.istio-system`,
]);

export interface GrpcServerDeps {
  readonly ads: AdsServer;
  readonly authority: CertificateAuthority;
  readonly registry: Registry;
  readonly tokens: TokenReviewer;
  readonly isNodeProxy: (caller: Caller) => boolean;
  readonly writer: StatusWriter;
  readonly trustDomain: string;
  readonly logger: Logger;
}

/** The server with its services, not yet bound. Each service reviews the caller's token itself. */
export function createGrpcServer(deps: GrpcServerDeps): Server {
  const { ads, authority, isNodeProxy, logger, registry, tokens, trustDomain, writer } = deps;
  const server = new Server({
    "grpc.max_receive_message_length": REQUEST_BYTES,
    "grpc.max_send_message_length": -1,
    "grpc.keepalive_time_ms": KEEPALIVE_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
    "grpc.max_connection_age_ms": CONNECTION_AGE_MS,
    "grpc.max_connection_age_grace_ms": CONNECTION_AGE_GRACE_MS,
  });
  server.addService(AggregatedDiscoveryService, ads.implementation);
  const reports = new CaptureReports({
    tokens,
    isNodeProxy,
    writer,
    registry,
    logger: logger.scope("capture"),
  });
  server.addService(CaptureService, reports.implementation);
  const certificates = createCertificateService({
    authority,
    tokens,
    isNodeProxy,
    nodeIdentities: {
      runsOnNode: (identity, node) =>
        identity.trustDomain === trustDomain &&
        registry.runsOnNode(node, identity.namespace, identity.serviceAccount),
    },
    logger: logger.scope("ca"),
    trustDomain,
  });
  server.addService(IstioCertificateService, { ...certificates });
  return server;
}

/**
 * Binds with a fresh certificate of our own CA; returns the port. Rejects with MeshError
 * BIND_FAILED.
 */
export async function bindGrpc(
  server: Server,
  authority: CertificateAuthority,
  { listen, xdsPort }: Pick<IstiodOptions, "listen" | "xdsPort">,
): Promise<number> {
  const names = [...SERVER_NAMES, "localhost"];
  const { certChainPem, privateKeyPem } = authority.issueServer(names, ownAddresses(listen));
  const credentials = ServerCredentials.createSsl(
    null,
    [{ cert_chain: Buffer.from(certChainPem), private_key: Buffer.from(privateKeyPem) }],
    false,
  );
  const address = `${listen.includes(":") ? `[${listen}]` : listen}:${xdsPort}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (cause, port) => {
      if (cause === null) return resolve(port);
      const hint = "is another istiod-lite running? --xds-port takes another port";
      reject(new MeshError("BIND_FAILED", `cannot listen on ${address}`, { cause, hint }));
    });
  });
}

/** Where proxies may reach us by address: the one we listen on, or all there are. */
function ownAddresses(listen: string): readonly IpAddress[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const texts = listen === "::" || listen === "0.0.0.0" ? all.map((a) => a.address) : [listen];
  return [...new Set(texts.flatMap((text) => parseIp(text) ?? []))];
}

/** Lets calls in progress end for SHUTDOWN_GRACE_MS, then cuts them. */
export function shutDown(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.forceShutdown(), SHUTDOWN_GRACE_MS);
    server.tryShutdown(() => {
      clearTimeout(cut);
      resolve();
    });
  });
}
