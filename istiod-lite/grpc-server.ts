/** The gRPC services of 15012: xDS, certificates and capture reports. */
import { Server } from "@grpc/grpc-js";
import type { Logger } from "#common/telemetry/logger.ts";
import { CaptureService } from "#common/xds/capture-rpc.ts";
import { IstioCertificateService } from "#common/xds/citadel-rpc.ts";
import { AggregatedDiscoveryService } from "#common/xds/discovery-rpc.ts";
import type { Caller } from "./ca/caller.ts";
import {
  type CreateCertificateService,
  createCertificateService,
} from "./ca/create-certificate.ts";
import type { LiveAuthority } from "./ca/live-authority.ts";
import type { TokenReviewer } from "./ca/token-review.ts";
import { callGuard } from "./call-guard.ts";
import type { StatusWriter } from "./config/source.ts";
import {
  CONNECTION_AGE_GRACE_MS,
  CONNECTION_AGE_MS,
  KEEPALIVE_MS,
  KEEPALIVE_TIMEOUT_MS,
  REQUEST_BYTES,
  STREAMS_PER_CONNECTION,
} from "./limits.ts";
import { RefusalLog } from "./refusal-log.ts";
import type { Registry } from "./registry/registry.ts";
import type { AdsServer } from "./xds/ads-server.ts";
import { CaptureReports } from "./xds/capture-reports.ts";
import type { CaptureVerdicts } from "./xds/capture-verdicts.ts";
import { Departures } from "./xds/departures.ts";

export interface GrpcServerDeps {
  readonly ads: AdsServer;
  readonly authority: LiveAuthority;
  readonly registry: Registry;
  readonly tokens: TokenReviewer;
  readonly isNodeProxy: (caller: Caller) => boolean;
  readonly writer: StatusWriter;
  readonly verdicts: CaptureVerdicts;
  readonly areZtunnelsRemoved: (podName: string) => Promise<boolean>;
  readonly trustDomain: string;
  readonly logger: Logger;
  /** The connection from `peer` has brought a good token. */
  readonly onProved: (peer: string) => void;
  /** A call was refused for want of one. */
  readonly onRefused: () => void;
}

/**
 * The server with its services, without a port. A token is reviewed before a call is read, and by
 * the service again.
 */
export function createGrpcServer(deps: GrpcServerDeps): Server {
  const { ads, isNodeProxy, logger, onProved, registry, tokens, writer } = deps;
  const refusals = new RefusalLog(logger.scope("grpc"), "call without a good token refused");
  const onRefused = (peer: string, why: string): void => {
    deps.onRefused();
    refusals.warn({ peer, why });
  };
  const server = new Server({
    ...SERVER_OPTIONS,
    interceptors: [callGuard({ tokens, onProved, onRefused })],
  });
  server.addService(AggregatedDiscoveryService, ads.implementation);
  const caller = { tokens, isNodeProxy, logger: logger.scope("capture") };
  const reports = new CaptureReports({ ...caller, writer, registry });
  const departures = new Departures({ ...caller, areZtunnelsRemoved: deps.areZtunnelsRemoved });
  server.addService(CaptureService, {
    ...reports.implementation,
    ...deps.verdicts.implementation,
    ...departures.implementation,
  });
  server.addService(IstioCertificateService, { ...certificateService(deps) });
  return server;
}

const SERVER_OPTIONS = {
  "grpc.max_concurrent_streams": STREAMS_PER_CONNECTION,
  "grpc.max_receive_message_length": REQUEST_BYTES,
  "grpc.max_send_message_length": -1,
  "grpc.keepalive_time_ms": KEEPALIVE_MS,
  "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
  "grpc.max_connection_age_ms": CONNECTION_AGE_MS,
  "grpc.max_connection_age_grace_ms": CONNECTION_AGE_GRACE_MS,
};

function certificateService(deps: GrpcServerDeps): CreateCertificateService {
  const { authority, isNodeProxy, logger, registry, tokens, trustDomain } = deps;
  return createCertificateService({
    authority: {
      issueWorkload: (publicKey, identity, ttlSeconds) =>
        authority.current.issueWorkload(publicKey, identity, ttlSeconds),
    },
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
}
